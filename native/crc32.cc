#include "crc32.h"

#include <array>
#include <cstring>

namespace {

// Four tables, so that a step takes four bytes: one byte a step waits for its own table load, and
// a handle of 28 bytes then costs more than all else that is done with an event.
constexpr std::array<std::array<uint32_t, 256>, 4> MakeTables() {
  std::array<std::array<uint32_t, 256>, 4> tables{};
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; bit++) value = (value >> 1) ^ ((value & 1) ? 0xedb88320u : 0);
    tables[0][i] = value;
  }
  for (uint32_t i = 0; i < 256; i++)
    for (size_t t = 1; t < 4; t++)
      tables[t][i] = tables[0][tables[t - 1][i] & 0xff] ^ (tables[t - 1][i] >> 8);
  return tables;
}
constexpr std::array<std::array<uint32_t, 256>, 4> kTables = MakeTables();

}  // namespace

uint32_t Crc32(uint32_t crc, const void* data, size_t size) {
  const uint8_t* p = static_cast<const uint8_t*>(data);
  crc = ~crc;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  for (; size >= 4; size -= 4, p += 4) {
    uint32_t word;
    memcpy(&word, p, 4);
    crc ^= word;
    crc = kTables[3][crc & 0xff] ^ kTables[2][(crc >> 8) & 0xff] ^ kTables[1][(crc >> 16) & 0xff] ^
          kTables[0][crc >> 24];
  }
#endif
  for (; size != 0; size--) crc = kTables[0][(crc ^ *p++) & 0xff] ^ (crc >> 8);
  return ~crc;
}
