#include "fanotify/event_table.h"

namespace fan {

namespace {

inline uint64_t Mix(uint64_t a, uint64_t b) {
  const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

inline uint32_t Hash(uint64_t seed, uint64_t tag, const uint8_t* data, uint32_t size) {
  constexpr uint64_t kOdd = 0x9e3779b97f4a7c15;
  uint64_t hash = Mix(seed ^ tag, kOdd) ^ size;
  while (size >= 8) {
    uint64_t word;
    memcpy(&word, data, 8);
    hash = Mix(hash ^ word, kOdd);
    data += 8;
    size -= 8;
  }
  if (size > 0) {
    uint64_t word = 0;
    memcpy(&word, data, size);
    hash = Mix(hash ^ word, kOdd);
  }
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

EventTable::EventTable(uint32_t limit, uint64_t seed)
    : limit_(limit), seed_(seed), arena_(kMinArena), slots_(kMinSlots) {}

bool EventTable::Count(uint64_t tag, const uint8_t* info, uint32_t size, uint32_t* hash) {
  const uint32_t wanted = Hash(seed_, tag, info, size);
  *hash = wanted;
  const size_t last = slots_.size() - 1;
  for (size_t at = wanted & last;; at = (at + 1) & last) {
    const Slot slot = slots_[at];
    if (slot.place == 0) return false;
    if (slot.hash != wanted) continue;
    uint8_t* bytes = &arena_[(slot.place - 1) * size_t{8}];
    Record record;
    memcpy(&record, bytes, sizeof record);
    if (record.tag != tag || record.size != size) continue;
    if (memcmp(bytes + sizeof record, info, size) != 0) continue;
    if (record.count != UINT32_MAX) record.count++;
    memcpy(bytes, &record, sizeof record);
    return true;
  }
}

bool EventTable::Insert(uint64_t tag, const uint8_t* info, uint32_t size, uint32_t hash) {
  if (size_ >= limit_) return false;
  if ((size_ + 1) * size_t{2} > slots_.size()) Rehash(slots_.size() * 2);
  const size_t end = used_ + Step(size);
  if (end > arena_.size()) arena_.resize(arena_.size() * 2 > end ? arena_.size() * 2 : end);
  const Record record{tag, 1, size};
  memcpy(&arena_[used_], &record, sizeof record);
  memcpy(&arena_[used_ + sizeof record], info, size);
  const size_t last = slots_.size() - 1;
  size_t at = hash & last;
  while (slots_[at].place != 0) at = (at + 1) & last;
  slots_[at] = {hash, static_cast<uint32_t>(used_ / 8 + 1)};
  used_ = end;
  size_++;
  return true;
}

void EventTable::Rehash(size_t slots) {
  std::vector<Slot> old(slots);
  old.swap(slots_);
  const size_t last = slots - 1;
  for (const Slot& slot : old) {
    if (slot.place == 0) continue;
    size_t at = slot.hash & last;
    while (slots_[at].place != 0) at = (at + 1) & last;
    slots_[at] = slot;
  }
}

void EventTable::Clear() {
  const bool roomy = slots_.size() > kMinSlots && size_t{size_} * 16 < slots_.size();
  if (roomy) {
    std::vector<Slot>(slots_.size() / 2).swap(slots_);
  } else {
    memset(static_cast<void*>(slots_.data()), 0, slots_.size() * sizeof(Slot));
  }
  if (arena_.size() > kMinArena && used_ * 8 < arena_.size())
    std::vector<uint8_t>(arena_.size() / 2).swap(arena_);
  used_ = 0;
  size_ = 0;
}

}  // namespace fan
