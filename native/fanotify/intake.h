// What happens to the bytes of one read from a fanotify descriptor: classed, filtered, counted,
// aggregated. Owns the table being filled, its spare, the counters and the losses since the last
// drain. Must not know threads or JavaScript; whoever uses it serialises access.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fanotify/event_table.h"
#include "fanotify/pid_classes.h"
#include "fanotify/sync_round.h"

namespace fan {

// Times are CLOCK_MONOTONIC microseconds, counts are totals since the start.
struct Counters {
  uint64_t reads = 0;
  uint64_t bytes_read = 0;
  uint64_t events_read = 0;
  uint64_t overflows = 0;
  uint64_t table_drops = 0;
  uint64_t filtered = 0;
  uint64_t malformed = 0;
  uint64_t read_errors = 0;
  uint64_t distinct = 0;
};

struct Loss {
  const char* where;
  uint64_t count;
  int64_t from_us;
  int64_t to_us;
};

class Intake {
 public:
  // `keep`: bit 1 << PidClass for each class whose accesses are wanted.
  Intake(const std::vector<std::string>& server_names, uint32_t keep, uint32_t table_limit);

  // Takes one read's bytes. [from_us, to_us]: from the last moment the kernel's queue was known
  // not to have dropped anything, until now.
  void Consume(const uint8_t* data, size_t size, int64_t from_us, int64_t to_us, SyncRound* round);

  // Adds to the loss of this name, widening its time.
  void AddLoss(const char* where, uint64_t count, int64_t from_us, int64_t to_us);

  // Swaps the filled table for the empty spare and hands out the losses. The table stays valid,
  // and is the caller's alone, until Recycle, which must come before the next Swap.
  EventTable* Swap(std::vector<Loss>* losses);
  void Recycle(EventTable* table) { table->Clear(); }

  PidClasses& classes() { return classes_; }
  Counters& counters() { return counters_; }

 private:
  void Take(uint64_t mask, PidClass cls, const uint8_t* info, uint32_t size, int64_t now_us);

  PidClasses classes_;
  // For each class the bits of an event that are kept.
  std::array<uint64_t, kPidClassCount> keep_;
  std::unique_ptr<EventTable> filling_;
  std::unique_ptr<EventTable> spare_;
  Counters counters_;
  std::vector<Loss> losses_;
};

}  // namespace fan
