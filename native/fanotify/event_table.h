// The bounded table in which equal events become one record with a count.
// Owns the records between two drains. Must not know threads, the kernel or JavaScript: whoever
// uses it serialises access.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace fan {

class EventTable {
 public:
  // `limit`: the most distinct records held; `seed`: keeps names sent by clients from being
  // chosen to collide.
  EventTable(uint32_t limit, uint64_t seed);

  // Counts an event with this tag and these information bytes if one is held already. The
  // kernel writes equal events as equal bytes (padding is cleared), so nothing is parsed here.
  // False if it is new; then *hash is what Insert needs.
  bool Count(uint64_t tag, const uint8_t* info, uint32_t size, uint32_t* hash);

  // Adds a record with count 1; only after Count said that it is new. False if the table is full.
  bool Insert(uint64_t tag, const uint8_t* info, uint32_t size, uint32_t hash);

  // Forgets the records, and gives memory back when much more is held than was used.
  void Clear();

  uint32_t size() const { return size_; }

  // Calls visit(tag, count, info, size) for each record, in order of first sight.
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t at = 0; at < used_;) {
      Record record;
      memcpy(&record, &arena_[at], sizeof record);
      visit(record.tag, record.count, &arena_[at + sizeof record], record.size);
      at += Step(record.size);
    }
  }

 private:
  struct Record {
    uint64_t tag;
    uint32_t count;
    uint32_t size;
  };
  struct Slot {
    uint32_t hash;
    uint32_t place;  // 0: empty; else record offset / 8 + 1
  };
  static constexpr size_t kMinSlots = 1024;
  static constexpr size_t kMinArena = 64 * 1024;

  static size_t Step(uint32_t size) { return sizeof(Record) + ((size + 7u) & ~size_t{7}); }
  void Rehash(size_t slots);

  const uint32_t limit_;
  const uint64_t seed_;
  uint32_t size_ = 0;
  size_t used_ = 0;
  std::vector<uint8_t> arena_;
  std::vector<Slot> slots_;
};

}  // namespace fan
