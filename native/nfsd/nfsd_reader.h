// The thread that reads the NFS server's trace: waits for the nfsd module, opens its events, feeds
// the interpreter, answers drain, sync and stop.
// Owns the rings, the interpreter and the thread. Must not know JavaScript or boot sessions.
//
// Threads: every public method may be called from any thread but the reader's own; Start, Stop and
// the destructor only from one.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "nfsd/event_plan.h"
#include "nfsd/interpreter.h"
#include "nfsd/perf_rings.h"

enum class ReaderState : uint8_t { kIdle, kWaiting, kRunning, kStopped };

struct ReaderStatus {
  ReaderState state = ReaderState::kIdle;
  NfsTier tier = NfsTier::kNone;
  bool by_probe = false;
  uint64_t running_since_ns = 0;  // 0 until it ran
  size_t ring_bytes = 0;
  size_t cpus = 0;
  size_t filters_refused = 0;
  uint64_t lost = 0;
  uint64_t thread_cpu_ns = 0;
  InterpreterStats stats;
  std::string problem;  // why it still waits although the events are there; '' when all is well
};

class NfsdReader {
 public:
  struct Options {
    std::string tracefs;
    size_t ring_bytes = 8u << 20;
    size_t table_limit = 65536;
    PlanOptions plan;
  };

  explicit NfsdReader(Options options);
  ~NfsdReader();

  // Opens the events if they are there, and begins to read or to wait. 0, or errno and in `step`
  // what failed.
  int Start(std::string* step);

  // The encoded batch so far (BatchTable::Encode).
  std::string Drain();

  // Blocks until every record that the kernel had made before the call is interpreted.
  void Sync();

  // Disables the events, interprets what is left, ends the thread. Idempotent.
  void Stop();

  ReaderStatus Status();

 private:
  void Run();
  bool TryOpen(std::string* step, int* err);
  void ReadUntil(uint64_t limit_ns, bool last);
  void WaitForWork(bool idle);
  void Wake();

  const Options options_;
  PerfRings rings_;  // the reader thread's alone once it runs
  std::thread thread_;
  int wake_fd_ = -1;
  std::atomic<bool> stop_{false};

  std::mutex mutex_;  // guards all below
  std::condition_variable synced_;
  uint64_t sync_wanted_ = 0;
  uint64_t sync_done_ = 0;
  ReaderStatus status_;
  std::unique_ptr<NfsInterpreter> interpreter_;
  uint64_t until_ns_ = 0;
};
