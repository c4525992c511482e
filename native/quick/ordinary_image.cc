#include "quick/ordinary_image.h"

#include <sys/stat.h>

#include <cstring>
#include <string_view>

#include "quick/plain_text.h"
#include "quick/window.h"

namespace quick {
namespace {

constexpr size_t kHeader = 110;
constexpr size_t kFields = 13;
constexpr uint64_t kMostName = 4096;
constexpr uint64_t kMostLink = 4096;
// Bytes of names; with more it is left to Node, which holds a few of them at a time.
constexpr size_t kMostLines = 16u << 20;
constexpr std::string_view kTrailer = "TRAILER!!!";
constexpr std::string_view kTrailerFile = "./TRAILER!!!";

constexpr uint32_t kFormat = 0170000;
constexpr uint32_t kFile = 0100000;
constexpr uint32_t kLink = 0120000;

// Of the thirteen fields behind the magic.
enum Field { kMode = 1, kSize = 6, kNameSize = 11 };

bool ReadFields(const char* header, uint32_t* fields) {
  const bool newc = memcmp(header, "070701", 6) == 0 || memcmp(header, "070702", 6) == 0;
  if (!newc) return false;
  const char* at = header + 6;
  for (size_t field = 0; field < kFields; ++field) {
    uint32_t value = 0;
    for (int digit = 0; digit < 8; ++digit, ++at) {
      const char c = *at;
      const char letter = static_cast<char>(c | 0x20);
      if (c >= '0' && c <= '9') {
        value = value << 4 | static_cast<uint32_t>(c - '0');
      } else if (letter >= 'a' && letter <= 'f') {
        value = value << 4 | static_cast<uint32_t>(letter - 'a' + 10);
      } else {
        return false;
      }
    }
    fields[field] = value;
  }
  return true;
}

// Whether the kernel passes over such a record, or does not take it as what it seems to be.
bool IsOdd(const uint32_t* fields) {
  if (fields[kNameSize] == 0 || fields[kNameSize] > kMostName) return true;
  const uint32_t type = fields[kMode] & kFormat;
  if (type == kLink) return fields[kSize] > kMostLink;
  return type != kFile && fields[kSize] > 0;
}

uint64_t Aligned(uint64_t offset) { return (offset + 3) & ~uint64_t{3}; }

bool IsZeros(std::string_view bytes) {
  // Each is as its neighbour, and the first is zero.
  return bytes[0] == '\0' && memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

// Passes over zeros; true if nothing follows them.
bool EndsAfterZeros(Window* window, uint64_t* at) {
  for (std::string_view here = window->At(*at); !here.empty(); here = window->At(*at)) {
    if (IsZeros(here)) {
      *at += here.size();
      continue;
    }
    *at += here.find_first_not_of('\0');
    return false;
  }
  return true;
}

// Adds the record's name and moves on behind its data.
bool TakeRecord(Window* window, uint64_t size, uint64_t* at, std::string* lines) {
  const std::string_view header = window->At(*at, kHeader);
  uint32_t fields[kFields];
  if (header.size() < kHeader || !ReadFields(header.data(), fields) || IsOdd(fields)) return false;
  const uint64_t data = Aligned(*at + kHeader + fields[kNameSize]);
  const uint64_t end = data + fields[kSize];
  if (end > size) return false;
  const std::string_view field = window->At(*at + kHeader, fields[kNameSize]);
  if (field.size() < fields[kNameSize] || field[fields[kNameSize] - 1] != '\0') return false;
  std::string_view name(field.data());
  const bool is_link = (fields[kMode] & kFormat) == kLink;
  if (!name.empty() && (is_link || name != kTrailer)) {
    // A file of that name is named so, not to be the end.
    if (name == kTrailerFile) name = kTrailer;
    if (!IsPlainText(name) || lines->size() + name.size() >= kMostLines) return false;
    lines->append(name).push_back('\n');
  }
  *at = Aligned(end);
  return true;
}

}  // namespace

bool NamesOf(int image, std::string* lines) {
  struct stat found;
  // What says it is empty may be the kernel's, and give what is read from it only once.
  if (fstat(image, &found) != 0 || !S_ISREG(found.st_mode) || found.st_size == 0) return false;
  const uint64_t size = static_cast<uint64_t>(found.st_size);
  Window window(image);
  uint64_t at = 0;
  while (!EndsAfterZeros(&window, &at))
    if (at % 4 != 0 || !TakeRecord(&window, size, &at, lines)) return false;
  // Of an image without a single record there is more to say, of one that cannot be read, and of
  // one that has become shorter.
  return !lines->empty() && !window.failed() && fstat(image, &found) == 0 &&
         static_cast<uint64_t>(found.st_size) >= size;
}

}  // namespace quick
