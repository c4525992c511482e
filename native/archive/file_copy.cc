// See file_copy.h.
#include "archive/file_copy.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "archive/root_tree.h"

namespace {

constexpr size_t kBuffer = 256 * 1024;
// A multiple of it. Others write at the same time: the room is looked at again after so much.
constexpr uint64_t kRoomEvery = 16 * kBuffer;

bool WriteAll(int fd, const char* data, size_t length, ArchiveTrouble* trouble) {
  while (length > 0) {
    const ssize_t count = write(fd, data, length);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      trouble->Set(ArchiveFailure::kWrite, errno, "write");
      return false;
    }
    data += count;
    length -= static_cast<size_t>(count);
  }
  return true;
}

bool CheckRoom(int fd, uint64_t bytes, ArchiveTrouble* trouble) {
  struct statvfs about;
  if (fstatvfs(fd, &about) != 0) {
    trouble->Set(ArchiveFailure::kWrite, errno, "fstatvfs");
    return false;
  }
  // One without a size of its own (ramfs) tells of none.
  if (about.f_blocks == 0) return true;
  if (static_cast<uint64_t>(about.f_bavail) * about.f_frsize >= bytes) return true;
  trouble->Set(ArchiveFailure::kWrite, ENOSPC, "fstatvfs");
  return false;
}

bool CopyBytes(int from, const std::string& path, uint64_t size, int fd, uint64_t leave,
               ArchiveTrouble* trouble) {
  const std::unique_ptr<char[]> buffer(new char[kBuffer]);
  for (uint64_t done = 0; done < size;) {
    if (done % kRoomEvery == 0 && !CheckRoom(fd, size - done + leave, trouble)) return false;
    const size_t part = static_cast<size_t>(std::min<uint64_t>(kBuffer, size - done));
    if (!ReadPlanned(from, path, buffer.get(), part, done, trouble)) return false;
    if (!WriteAll(fd, buffer.get(), part, trouble)) return false;
    done += part;
  }
  return true;
}

}  // namespace

bool CopyPlanned(RootTree* tree, const std::string& path, const ArchiveFile& file, int fd,
                 uint64_t leave, bool* shared, ArchiveTrouble* trouble) {
  const int from = OpenPlanned(tree, path, file, trouble);
  if (from < 0) return false;
  // Whatever it refuses for (another file system, one that cannot, a swap file), a copy may do.
  *shared = ioctl(fd, FICLONE, from) == 0;
  const bool good = (*shared || CopyBytes(from, path, file.size, fd, leave, trouble)) &&
                    CheckPlanned(from, path, file, trouble);
  close(from);
  return good;
}
