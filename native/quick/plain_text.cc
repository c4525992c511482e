#include "quick/plain_text.h"

#include <cstdint>

namespace quick {
namespace {

// How many bytes the character has, and the bounds of its second; the others are 80 to BF.
struct Form {
  size_t length;
  uint8_t low;
  uint8_t high;
};

Form FormOf(uint8_t first) {
  if (first >= 0x20 && first < 0x7f) return {1, 0, 0};
  // Of C2 80 to 9F are control characters.
  if (first == 0xc2) return {2, 0xa0, 0xbf};
  if (first > 0xc2 && first < 0xe0) return {2, 0x80, 0xbf};
  if (first == 0xe0) return {3, 0xa0, 0xbf};
  // Surrogates are none.
  if (first == 0xed) return {3, 0x80, 0x9f};
  if (first > 0xe0 && first < 0xf0) return {3, 0x80, 0xbf};
  if (first == 0xf0) return {4, 0x90, 0xbf};
  if (first > 0xf0 && first < 0xf4) return {4, 0x80, 0xbf};
  if (first == 0xf4) return {4, 0x80, 0x8f};
  return {0, 0, 0};
}

}  // namespace

bool IsPlainText(std::string_view bytes) {
  while (!bytes.empty()) {
    const Form form = FormOf(static_cast<uint8_t>(bytes[0]));
    if (form.length == 0 || form.length > bytes.size()) return false;
    for (size_t at = 1; at < form.length; ++at) {
      const uint8_t byte = static_cast<uint8_t>(bytes[at]);
      if (byte < (at == 1 ? form.low : 0x80) || byte > (at == 1 ? form.high : 0xbf)) return false;
    }
    bytes.remove_prefix(form.length);
  }
  return true;
}

}  // namespace quick
