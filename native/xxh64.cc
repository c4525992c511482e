// See xxh64.h.
#include "xxh64.h"

#include <string.h>

#include <algorithm>

namespace {

constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87;
constexpr uint64_t kPrime2 = 0xC2B2AE3D27D4EB4F;
constexpr uint64_t kPrime3 = 0x165667B19E3779F9;
constexpr uint64_t kPrime4 = 0x85EBCA77C2B2AE63;
constexpr uint64_t kPrime5 = 0x27D4EB2F165667C5;

uint64_t Rotate(uint64_t value, int bits) { return (value << bits) | (value >> (64 - bits)); }

uint64_t Round(uint64_t lane, uint64_t word) { return Rotate(lane + word * kPrime2, 31) * kPrime1; }

uint64_t Merge(uint64_t sum, uint64_t lane) { return (sum ^ Round(0, lane)) * kPrime1 + kPrime4; }

uint64_t Word(const unsigned char* at, int bytes) {
  uint64_t word = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  memcpy(&word, at, static_cast<size_t>(bytes));
#else
  for (int i = bytes; i-- > 0;) word = word << 8 | at[i];
#endif
  return word;
}

}  // namespace

Xxh64::Xxh64() : lanes_{kPrime1 + kPrime2, kPrime2, 0, uint64_t{0} - kPrime1} {}

void Xxh64::Stripe(const unsigned char* at) {
  for (int i = 0; i < 4; i++) lanes_[i] = Round(lanes_[i], Word(at + 8 * i, 8));
}

void Xxh64::Add(const void* data, size_t size) {
  const auto* at = static_cast<const unsigned char*>(data);
  const size_t held = total_ % sizeof waiting_;
  total_ += size;
  if (held > 0) {
    const size_t part = std::min(size, sizeof waiting_ - held);
    memcpy(waiting_ + held, at, part);
    if (held + part < sizeof waiting_) return;
    Stripe(waiting_);
    at += part;
    size -= part;
  }
  for (; size >= sizeof waiting_; size -= sizeof waiting_, at += sizeof waiting_) Stripe(at);
  memcpy(waiting_, at, size);
}

uint64_t Xxh64::Sum() const {
  uint64_t sum = kPrime5;
  if (total_ >= sizeof waiting_) {
    sum =
        Rotate(lanes_[0], 1) + Rotate(lanes_[1], 7) + Rotate(lanes_[2], 12) + Rotate(lanes_[3], 18);
    for (const uint64_t lane : lanes_) sum = Merge(sum, lane);
  }
  sum += total_;
  const unsigned char* at = waiting_;
  size_t left = total_ % sizeof waiting_;
  for (; left >= 8; left -= 8, at += 8)
    sum = Rotate(sum ^ Round(0, Word(at, 8)), 27) * kPrime1 + kPrime4;
  for (; left >= 4; left -= 4, at += 4)
    sum = Rotate(sum ^ Word(at, 4) * kPrime1, 23) * kPrime2 + kPrime3;
  for (; left > 0; left--, at++) sum = Rotate(sum ^ *at * kPrime5, 11) * kPrime1;
  sum = (sum ^ sum >> 33) * kPrime2;
  sum = (sum ^ sum >> 29) * kPrime3;
  return sum ^ sum >> 32;
}
