#include "fanotify/sync_round.h"

#include <sys/fanotify.h>

#include <utility>

namespace fan {

void SyncRound::Begin(uint64_t ticket, int64_t now_us, std::vector<WatchTarget> targets) {
  active_ = true;
  ticket_ = ticket;
  begun_us_ = now_us;
  owed_.clear();
  for (WatchTarget& target : targets) owed_.push_back({std::move(target), Step::kTouchFirst});
}

void SyncRound::Touch() {
  for (Sentinel& sentinel : owed_) {
    const bool first = sentinel.step == Step::kTouchFirst;
    if (!first && sentinel.step != Step::kTouchSecond) continue;
    switch (sentinel.target.Touch()) {
      case WatchTarget::Touched::kYes:
        sentinel.step = first ? Step::kAwaitFirst : Step::kAwaitSecond;
        break;
      case WatchTarget::Touched::kGone:
        sentinel.step = Step::kGone;
        break;
      case WatchTarget::Touched::kNo:
        sentinel.step = Step::kUntouchable;
        break;
    }
  }
}

bool SyncRound::Match(uint64_t mask, const uint8_t* info, uint32_t size) {
  constexpr uint64_t kOpenDir = FAN_OPEN | FAN_ONDIR;
  if ((mask & kOpenDir) != kOpenDir) return false;
  EventInfo event;
  if (!ParseEventInfo(info, size, &event) || !event.object) return false;
  bool matched = false;
  // Two copies of one disk image can be mounted with the same fsid: one event serves both.
  for (size_t at = 0; at < owed_.size();) {
    Sentinel& sentinel = owed_[at];
    if (!sentinel.target.Is(event)) {
      at++;
      continue;
    }
    matched = true;
    if (sentinel.step == Step::kAwaitSecond) {
      owed_.erase(owed_.begin() + static_cast<ptrdiff_t>(at));
      continue;
    }
    if (sentinel.step == Step::kAwaitFirst) sentinel.step = Step::kTouchSecond;
    at++;
  }
  return matched;
}

void SyncRound::QueueEmpty(bool overflowed, std::vector<uint64_t>* blind) {
  for (const Sentinel& sentinel : owed_) {
    const bool awaited = sentinel.step == Step::kAwaitFirst || sentinel.step == Step::kAwaitSecond;
    if ((awaited && !overflowed) || sentinel.step == Step::kGone)
      blind->push_back(sentinel.target.id());
  }
  owed_.clear();
}

bool SyncRound::Finish() {
  if (!active_ || !owed_.empty()) return false;
  active_ = false;
  return true;
}

}  // namespace fan
