// Containers for millions of small records: chunked arrays, byte arenas and sets of numbers.
// A doubling std::vector holds up to twice (while growing, three times) what it needs, and one
// std::string per name costs 32 bytes and an allocation; these hold what is used plus one chunk.
// Owns memory only. Must not know what is stored.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

constexpr uint32_t kNone = 0xffffffffu;

// Array whose elements never move; grows by 2^kShift elements.
template <typename T, unsigned kShift = 10>
class Chunked {
 public:
  T& operator[](uint32_t i) { return chunks_[i >> kShift][i & kMask]; }
  const T& operator[](uint32_t i) const { return chunks_[i >> kShift][i & kMask]; }
  uint32_t size() const { return size_; }
  uint32_t Push(const T& value) {
    if ((size_ & kMask) == 0) chunks_.emplace_back(new T[size_t{1} << kShift]);
    (*this)[size_] = value;
    return size_++;
  }
  size_t Bytes() const {
    return chunks_.size() * (sizeof(T) << kShift) + chunks_.capacity() * sizeof(chunks_[0]);
  }

 private:
  static constexpr uint32_t kMask = (1u << kShift) - 1;
  std::vector<std::unique_ptr<T[]>> chunks_;
  uint32_t size_ = 0;
};

// Append-only bytes addressed by a 32-bit offset; one record never spans two chunks.
class Arena {
 public:
  // Returns the record's offset; `*bytes` is where to write it. size <= kChunk.
  uint32_t Allocate(size_t size, uint8_t** bytes) {
    if (chunks_.empty() || used_ + size > kChunk) {
      chunks_.emplace_back(new uint8_t[kChunk]);
      used_ = 0;
    }
    uint32_t offset = static_cast<uint32_t>((chunks_.size() - 1) * kChunk + used_);
    *bytes = chunks_.back().get() + used_;
    used_ += size;
    return offset;
  }
  // No room for one more record of 64 KiB: offsets have 32 bits.
  bool Full() const { return chunks_.size() >= (uint64_t{1} << 32) / kChunk; }
  const uint8_t* At(uint32_t offset) const {
    return chunks_[offset / kChunk].get() + offset % kChunk;
  }
  size_t Bytes() const { return chunks_.size() * kChunk + chunks_.capacity() * sizeof(chunks_[0]); }

 private:
  static constexpr size_t kChunk = 65536;
  std::vector<std::unique_ptr<uint8_t[]>> chunks_;
  size_t used_ = 0;
};

// Set of 32-bit numbers found by a hash of what they stand for (open addressing, linear probes,
// at most 3/4 full). The caller gives the hash and the comparison, and can recompute the hash of
// any member: nothing but the number is stored.
class NumberSet {
 public:
  template <typename Equal>
  uint32_t Find(uint32_t hash, Equal equal) const {
    if (slots_.empty()) return kNone;
    for (size_t i = hash & Mask();; i = (i + 1) & Mask()) {
      if (slots_[i] == kNone || equal(slots_[i])) return slots_[i];
    }
  }
  // Empties the set and makes room for this many members.
  void Reserve(size_t members) {
    size_t slots = 64;
    while (members * 4 > slots * 3) slots *= 2;
    slots_.assign(slots, kNone);
    used_ = 0;
  }
  // The number must not be a member yet.
  template <typename HashOf>
  void Insert(uint32_t hash, uint32_t number, HashOf hash_of) {
    if ((used_ + 1) * 4 > slots_.size() * 3) Grow(slots_.empty() ? 64 : slots_.size() * 2, hash_of);
    Put(hash, number);
    used_++;
  }
  // The number must be a member. Moves later members of the run back: no tombstones, so a
  // directory that lives on temporary files does not slow down.
  template <typename HashOf>
  void Erase(uint32_t hash, uint32_t number, HashOf hash_of) {
    size_t hole = hash & Mask();
    while (slots_[hole] != number) hole = (hole + 1) & Mask();
    for (size_t i = (hole + 1) & Mask(); slots_[i] != kNone; i = (i + 1) & Mask()) {
      size_t home = hash_of(slots_[i]) & Mask();
      if (((i - home) & Mask()) < ((i - hole) & Mask())) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = kNone;
    used_--;
  }
  size_t Bytes() const { return slots_.capacity() * sizeof(uint32_t); }

 private:
  size_t Mask() const { return slots_.size() - 1; }
  void Put(uint32_t hash, uint32_t number) {
    size_t i = hash & Mask();
    while (slots_[i] != kNone) i = (i + 1) & Mask();
    slots_[i] = number;
  }
  template <typename HashOf>
  void Grow(size_t slots, HashOf hash_of) {
    std::vector<uint32_t> old(slots, kNone);
    old.swap(slots_);
    for (uint32_t number : old)
      if (number != kNone) Put(hash_of(number), number);
  }

  std::vector<uint32_t> slots_;
  size_t used_ = 0;
};

// Spreads bytes over 32 bits (multiply and fold 8 bytes at a time); for NumberSet only, so it may
// change at any time and nothing exported depends on it.
inline uint32_t HashBytes(const void* data, size_t size, uint64_t seed) {
  const uint8_t* p = static_cast<const uint8_t*>(data);
  uint64_t h = seed ^ (size * 0x9e3779b97f4a7c15ull);
  auto mix = [&h](uint64_t word) {
    h = (h ^ word) * 0xff51afd7ed558ccdull;
    h ^= h >> 32;
  };
  for (; size >= 8; p += 8, size -= 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    mix(word);
  }
  if (size != 0) {
    uint64_t word = 0;
    memcpy(&word, p, size);
    mix(word);
  }
  h *= 0xc4ceb9fe1a85ec53ull;
  return static_cast<uint32_t>(h >> 32);
}
