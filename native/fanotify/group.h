// One fanotify group: its descriptor, its reader thread and the lock between that thread and
// its users. Must not know JavaScript.
//
// Threads: Run() is the reader's; everything public may be called from any other thread. The
// lock is held by the reader while it files one read's events (about a millisecond at most), by the
// others only to swap tables or copy numbers: the reader never waits for a drain to be encoded.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fanotify/failure.h"
#include "fanotify/intake.h"
#include "fanotify/sync_round.h"
#include "fanotify/watch_list.h"

namespace fan {

struct GroupOptions {
  std::vector<std::string> server_names;
  uint32_t keep = 0;
  uint32_t table_limit = 0;
  // Fault injection: with the kernel's bounded queue, an overflow can be provoked.
  bool queue_limited = false;
};

struct Stats {
  Counters counters;
  int64_t thread_cpu_us = 0;
};

struct Drained {
  EventTable* table;  // until Recycle
  std::vector<Loss> losses;
  int64_t until_us;
};

class Group {
 public:
  explicit Group(const GroupOptions& options);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  // Creates the descriptor, marks the paths, starts the thread; all of it or nothing. Once only.
  // `on_proven` is called by the thread, without the lock, whenever Proven() has grown.
  Failure Start(const std::vector<std::string>& paths, std::function<void()> on_proven);
  // *identity: of the file system that is watched now; its fsid is that of the events.
  Failure Watch(const std::string& path, Identity* identity);
  Failure Unwatch(const std::string& path);
  void Trace(pid_t pid);
  void Untrace(pid_t pid);

  // The records since the last drain. Recycle(table) must come before the next Drain.
  Drained Drain();
  void Recycle(EventTable* table);

  // Everything that happened before RequestSync has been filed when Proven() has reached the
  // ticket that it returned.
  uint64_t RequestSync();
  uint64_t Proven();

  // Ends and joins the thread, closes the descriptor. What was filed stays for Drain.
  // Idempotent; a second caller waits for the first.
  void Stop();

  Stats GetStats();
  // Fault injection: while held, the thread reads nothing.
  void Hold(bool on);
  // Fault injection: files bytes as if they had been read.
  void Feed(const uint8_t* data, size_t size);

 private:
  void Run();
  // One read and its filing. False if the queue was empty.
  bool ReadOnce();
  void Wake();
  bool QueueIsEmpty() const;
  void CloseDescriptors();

  const bool queue_limited_;
  int fanotify_fd_ = -1;
  int wake_fd_ = -1;
  std::thread thread_;
  std::mutex stopping_;  // serialises Stop
  // The reader's alone:
  std::function<void()> on_proven_;
  std::vector<uint8_t> buffer_;
  SyncRound round_;
  uint64_t overflows_at_round_ = 0;
  bool busy_ = false;  // the last read found a long queue

  std::mutex lock_;  // guards all below
  Intake intake_;
  WatchList watches_;
  uint64_t requested_ = 0;  // sync tickets given out
  uint64_t proven_ = 0;     // highest ticket proven
  bool reading_ = false;    // bytes may be between the queue and the table
  bool running_ = false;
  bool stop_ = false;
  bool hold_ = false;
  int64_t until_us_ = 0;       // everything before this has been filed
  int64_t last_ok_us_ = 0;     // the queue was known empty then
  int64_t final_cpu_us_ = -1;  // set by the thread as it ends
};

}  // namespace fan
