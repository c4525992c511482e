// Mapped perf rings, one for each online CPU, that carry the raw records of a set of tracepoints.
// Owns the descriptors, the mappings and the count of what the kernel had to drop.
// Must not know what a record means. Not thread-safe: one thread at a time.
//
// Needs CAP_SYS_ADMIN (mainline: or CAP_PERFMON). Memory beyond
// /proc/sys/kernel/perf_event_mlock_kb for each CPU counts against RLIMIT_MEMLOCK unless the
// process has CAP_IPC_LOCK (perf_mmap() in the kernel). An open event holds a reference on its
// module: nfsd cannot be unloaded meanwhile.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "nfsd/trace_format.h"

struct TraceEventSpec {
  uint32_t id = 0;
  std::string filter;  // '' for none
};

struct RingLoss {
  const char* where;  // `trace-ring`: dropped by the kernel; `trace-cpu`: a CPU came up unobserved
  int cpu;
  uint64_t count;
  uint64_t from_ns;
  uint64_t to_ns;
};

// CLOCK_MONOTONIC, the clock of all records.
uint64_t MonotonicNs();

class PerfRings {
 public:
  using Handler = std::function<void(const RawRecord&, int cpu)>;

  PerfRings();
  ~PerfRings();
  PerfRings(const PerfRings&) = delete;
  PerfRings& operator=(const PerfRings&) = delete;

  // Opens every event on every online CPU, disabled. Steps `ring_bytes` (rounded down to a power of
  // two of pages) down while the kernel refuses to lock so much. 0, or errno and in `step` the call
  // that failed.
  int Open(const std::vector<TraceEventSpec>& events, size_t ring_bytes, std::string* step);
  void Close();

  // In the order of the specs, each event on all CPUs before the next one.
  void Enable();
  void Disable();

  // Delivers up to `max_records` records whose time is <= limit_ns, of all CPUs in the order of
  // their time, and frees their space. Returns how many; fewer than asked means that none is left.
  // With limit_ns taken from MonotonicNs() before the call no record of a thread can overtake an
  // earlier one of the same thread: that one was in its ring before the later one was made.
  size_t Read(uint64_t limit_ns, size_t max_records, const Handler& handler);

  // What is known to be lost since the last call. Asks the kernel's own counters (since 6.0) when a
  // ring was so full that it may have dropped records which no later record has reported yet. A
  // kernel without those counters tells only by a later record: at the end (`last`) a ring that was
  // full and got none since counts as one loss, which stands for any number.
  void TakeLosses(bool last, std::vector<RingLoss>* out);

  // Never use the kernel's counters, as on kernels before 6.0. Before Open().
  void WithoutCounters() { counters_ = false; }

  // Follows CPU hotplug: what a vanished CPU left must have been read, a new CPU is opened and
  // enabled, its unobserved time is a loss. Cheap when nothing changed.
  void FollowCpus();

  // One descriptor a CPU; readable when a ring is filled to a quarter.
  std::vector<int> PollFds() const;

  size_t ring_bytes() const { return ring_bytes_; }
  size_t cpus() const { return rings_.size(); }
  size_t filters_refused() const { return filters_refused_; }
  uint64_t lost() const { return lost_; }

 private:
  struct Ring;
  int OpenCpu(int cpu, size_t ring_bytes, std::unique_ptr<Ring>* out, std::string* step);
  void NoteLoss(Ring* ring, uint64_t to_ns);
  void AskCounters(Ring* ring);
  bool Peek(Ring* ring, uint64_t limit_ns);
  void Publish();

  std::vector<TraceEventSpec> events_;
  std::vector<std::unique_ptr<Ring>> rings_;
  std::vector<RingLoss> losses_;
  std::string online_;
  uint64_t cpus_checked_ns_ = 0;
  size_t ring_bytes_ = 0;
  size_t filters_refused_ = 0;
  uint64_t lost_ = 0;
  bool counters_ = true;  // PERF_FORMAT_LOST is known to the kernel
  bool enabled_ = false;
};

// The CPU numbers in a kernel list such as `0-3,8`.
std::vector<int> ParseCpuList(const std::string& text);
