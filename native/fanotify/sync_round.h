// The proof that everything queued before a moment has been read.
// Owns one round: which watched file systems still owe a sentinel event. Used by the reader
// thread only. Must not know the lock, the table or JavaScript.
//
// The sentinel is an open and close of the watched directory itself: it needs no right to write
// and leaves no trace. The kernel's queue is first in, first out, but an event that equals an
// unread one is merged into it, that is, to an earlier place. So, for each watch:
//   1. touch, then read until its event is seen. No equal event that was queued before the round
//      is unread any more.
//   2. touch again. This event, or one it merged into, was queued after step 1. When it is read,
//      everything queued before the round has been read.
// Opens of the same directory by other threads of ours can only add events after step 1's, so
// they cannot shorten the proof. It holds because the thread that touches is the one that reads:
// no read is under way while it touches.
#pragma once
#include <cstdint>
#include <vector>

#include "fanotify/event_info.h"
#include "fanotify/watch_list.h"

namespace fan {

class SyncRound {
 public:
  bool active() const { return active_; }
  uint64_t ticket() const { return ticket_; }
  int64_t begun_us() const { return begun_us_; }

  void Begin(uint64_t ticket, int64_t now_us, std::vector<WatchTarget> targets);

  // Touches every watch whose turn it is; opens directories, so call it without any lock.
  void Touch();

  // Whether an event of our own process is a sentinel; notes it if so.
  bool Match(uint64_t mask, const uint8_t* info, uint32_t size);

  // The queue was found empty by a read that began after the touches: everything has been read.
  // A sentinel still owed will never come. `overflowed`: the queue dropped events meanwhile, so
  // it may have dropped the sentinel; else the watch is blind, and its id is added to *blind.
  // The round has nothing left to wait for.
  void QueueEmpty(bool overflowed, std::vector<uint64_t>* blind);

  // True, once, when nothing is owed any more. The round ends.
  bool Finish();

 private:
  enum class Step : uint8_t {
    kTouchFirst,
    kAwaitFirst,
    kTouchSecond,
    kAwaitSecond,
    kGone,        // the path does not lead to the watched file system any more
    kUntouchable  // it could not be opened just now, which says nothing about the watch
  };
  struct Sentinel {
    WatchTarget target;
    Step step;
  };

  bool active_ = false;
  uint64_t ticket_ = 0;
  int64_t begun_us_ = 0;
  std::vector<Sentinel> owed_;
};

}  // namespace fan
