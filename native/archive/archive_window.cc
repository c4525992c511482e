// See archive_window.h.
#include "archive/archive_window.h"

#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "archive/root_tree.h"

namespace {

constexpr size_t kSumBuffer = 256 * 1024;

std::string PathOf(const ArchiveParts& parts, const ArchiveFile& file) {
  return std::string(parts.names + file.name_start, file.name_length);
}

uint64_t Padded(uint64_t size) { return (size + 3) / 4 * 4; }

bool ReadPart(RootTree* tree, const ArchiveParts& parts, const ArchiveFile& file, uint64_t offset,
              char* to, size_t length, ArchiveTrouble* trouble) {
  const std::string path = PathOf(parts, file);
  const int fd = OpenPlanned(tree, path, file, trouble);
  if (fd < 0) return false;
  const bool good =
      ReadPlanned(fd, path, to, length, offset, trouble) && CheckPlanned(fd, path, file, trouble);
  close(fd);
  return good;
}

}  // namespace

uint64_t ArchiveParts::Place() {
  uint64_t data = 0;
  starts.reserve(files.size());
  for (const ArchiveFile& file : files) {
    starts.push_back(file.after + data);
    data += Padded(file.size);
  }
  return head_length + data;
}

bool ReadWindow(RootTree* tree, const ArchiveParts& parts, uint64_t from, char* to, size_t length,
                ArchiveTrouble* trouble) {
  // The last file whose data starts at or before `from`, if any.
  size_t index = static_cast<size_t>(
      std::upper_bound(parts.starts.begin(), parts.starts.end(), from) - parts.starts.begin());
  uint64_t at = from;
  const uint64_t end = from + length;
  const auto put = [&](uint64_t stop) {
    const size_t part = static_cast<size_t>(std::min(stop, end) - at);
    char* const place = to + (at - from);
    at += part;
    return std::make_pair(place, part);
  };
  uint64_t head_shift = 0;  // archive offset less head offset, after the file before `index`
  if (index > 0) {
    const ArchiveFile& file = parts.files[index - 1];
    const uint64_t start = parts.starts[index - 1];
    if (at < start + file.size) {
      const uint64_t offset = at - start;
      const auto [place, part] = put(start + file.size);
      if (!ReadPart(tree, parts, file, offset, place, part, trouble)) return false;
    }
    if (at < end && at < start + Padded(file.size)) {
      const auto [place, part] = put(start + Padded(file.size));
      memset(place, 0, part);
    }
    head_shift = start + Padded(file.size) - file.after;
  }
  for (; at < end; index++) {
    const bool last = index == parts.files.size();
    const uint64_t next = last ? head_shift + parts.head_length : parts.starts[index];
    const char* const source = parts.head + (at - head_shift);
    const auto [place, part] = put(next);
    memcpy(place, source, part);
    if (last || at >= end) break;
    const ArchiveFile& file = parts.files[index];
    const auto [data, count] = put(next + file.size);
    if (!ReadPart(tree, parts, file, 0, data, count, trouble)) return false;
    if (at < end) {
      const auto [zeros, rest] = put(next + Padded(file.size));
      memset(zeros, 0, rest);
    }
    head_shift = next + Padded(file.size) - file.after;
  }
  return true;
}

bool SumFiles(RootTree* tree, const ArchiveParts& parts, std::vector<uint32_t>* sums,
              ArchiveTrouble* trouble) {
  const std::unique_ptr<unsigned char[]> buffer(new unsigned char[kSumBuffer]);
  for (const ArchiveFile& file : parts.files) {
    const std::string path = PathOf(parts, file);
    const int fd = OpenPlanned(tree, path, file, trouble);
    if (fd < 0) return false;
    uint32_t sum = 0;
    bool good = true;
    for (uint64_t done = 0; good && done < file.size;) {
      const size_t part = static_cast<size_t>(std::min<uint64_t>(kSumBuffer, file.size - done));
      good = ReadPlanned(fd, path, reinterpret_cast<char*>(buffer.get()), part, done, trouble);
      for (size_t i = 0; good && i < part; i++) sum += buffer[i];
      done += part;
    }
    good = good && CheckPlanned(fd, path, file, trouble);
    close(fd);
    if (!good) return false;
    sums->push_back(sum);
  }
  return true;
}
