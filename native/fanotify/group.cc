#include "fanotify/group.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace fan {

namespace {

constexpr size_t kBufferSize = 512 * 1024;
// More than the largest event: metadata 24, names and handles of the asked-for records under 700.
constexpr size_t kLargestEvent = 1024;
// After a read that emptied the queue, events are left to gather for this long: a wake-up for
// each event costs several times what the event does. An unlimited queue loses nothing meanwhile.
// A long queue is gathered for less, since the kernel looks through it for each event's like: of an
// NFS server in emulation the thread took 170 us a file with 2 ms throughout, and 25 us with this.
constexpr long kGatherNs = 50 * 1000 * 1000;
constexpr long kBusyGatherNs = 2 * 1000 * 1000;
constexpr ssize_t kBusyBytes = 16 * 1024;

constexpr unsigned int kInitFlags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID |
                                    FAN_REPORT_DFID_NAME | FAN_UNLIMITED_MARKS;

int64_t MonotonicUs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * int64_t{1000000} + now.tv_nsec / 1000;
}

int64_t ThreadCpuUs(clockid_t clock) {
  timespec used;
  if (clock_gettime(clock, &used) != 0) return 0;
  return used.tv_sec * int64_t{1000000} + used.tv_nsec / 1000;
}

int InitFanotify(unsigned int queue_flag) {
  constexpr unsigned int kFileFlags = O_RDONLY | O_LARGEFILE | O_CLOEXEC;
  // With FAN_REPORT_TARGET_FID (5.17) creations, removals and renames name the file's own handle
  // too; before, only the directory's and the name.
  const int fd = fanotify_init(kInitFlags | queue_flag | FAN_REPORT_TARGET_FID, kFileFlags);
  if (fd >= 0 || errno != EINVAL) return fd;
  return fanotify_init(kInitFlags | queue_flag, kFileFlags);
}

}  // namespace

Group::Group(const GroupOptions& options)
    : queue_limited_(options.queue_limited),
      intake_(options.server_names, options.keep, options.table_limit) {}

Group::~Group() { Stop(); }

Failure Group::Start(const std::vector<std::string>& paths, std::function<void()> on_proven) {
  fanotify_fd_ = InitFanotify(queue_limited_ ? 0 : FAN_UNLIMITED_QUEUE);
  if (fanotify_fd_ < 0) return Failure::Now("fanotify_init");
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  Failure failure;
  if (wake_fd_ < 0) failure = Failure::Now("eventfd");
  Identity identity;
  for (const std::string& path : paths)
    if (!failure) failure = Watch(path, &identity);
  if (failure) {
    CloseDescriptors();
    watches_ = WatchList();
    return failure;
  }
  on_proven_ = std::move(on_proven);
  buffer_.resize(kBufferSize);
  until_us_ = last_ok_us_ = MonotonicUs();
  running_ = true;
  // Signals are for the threads that expect them.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { Run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "fanotify");
  return {};
}

Failure Group::Watch(const std::string& path, Identity* identity) {
  Failure failure = MarkFileSystem(fanotify_fd_, path, identity);
  if (failure) return failure;
  std::lock_guard<std::mutex> guard(lock_);
  watches_.Add(path, *identity);
  return {};
}

Failure Group::Unwatch(const std::string& path) {
  bool unused = false;
  Identity identity;
  {
    std::lock_guard<std::mutex> guard(lock_);
    if (!watches_.Remove(path, &unused, &identity)) return {ENOENT, "unwatch", path};
  }
  if (unused) UnmarkFileSystem(fanotify_fd_, path, identity);
  return {};
}

void Group::Trace(pid_t pid) {
  std::lock_guard<std::mutex> guard(lock_);
  intake_.classes().Trace(pid);
}

void Group::Untrace(pid_t pid) {
  std::lock_guard<std::mutex> guard(lock_);
  intake_.classes().Untrace(pid);
}

Drained Group::Drain() {
  Drained out;
  std::lock_guard<std::mutex> guard(lock_);
  if (running_ && !reading_) {
    const int64_t now = MonotonicUs();
    if (QueueIsEmpty()) until_us_ = now;
  }
  out.until_us = until_us_;
  out.table = intake_.Swap(&out.losses);
  return out;
}

void Group::Recycle(EventTable* table) { intake_.Recycle(table); }

uint64_t Group::RequestSync() {
  std::lock_guard<std::mutex> guard(lock_);
  requested_++;
  Wake();
  return requested_;
}

uint64_t Group::Proven() {
  std::lock_guard<std::mutex> guard(lock_);
  return proven_;
}

void Group::Stop() {
  std::lock_guard<std::mutex> serial(stopping_);
  {
    std::lock_guard<std::mutex> guard(lock_);
    if (!running_) return;
    stop_ = true;
    Wake();
  }
  thread_.join();
  std::lock_guard<std::mutex> guard(lock_);
  running_ = false;
  CloseDescriptors();
  std::vector<uint8_t>().swap(buffer_);
}

Stats Group::GetStats() {
  std::lock_guard<std::mutex> guard(lock_);
  Stats stats{intake_.counters(), std::max<int64_t>(final_cpu_us_, 0)};
  clockid_t clock;
  if (running_ && final_cpu_us_ < 0 && pthread_getcpuclockid(thread_.native_handle(), &clock) == 0)
    stats.thread_cpu_us = ThreadCpuUs(clock);
  return stats;
}

void Group::Hold(bool on) {
  std::lock_guard<std::mutex> guard(lock_);
  hold_ = on;
  Wake();
}

void Group::Feed(const uint8_t* data, size_t size) {
  SyncRound none;
  std::lock_guard<std::mutex> guard(lock_);
  const int64_t now = MonotonicUs();
  intake_.Consume(data, size, now, now, &none);
}

void Group::Wake() {
  const uint64_t one = 1;
  if (wake_fd_ >= 0 && write(wake_fd_, &one, sizeof one) < 0) return;  // full: it will wake
}

bool Group::QueueIsEmpty() const {
  pollfd queue{fanotify_fd_, POLLIN, 0};
  return poll(&queue, 1, 0) == 0;
}

void Group::CloseDescriptors() {
  if (fanotify_fd_ >= 0) close(fanotify_fd_);
  if (wake_fd_ >= 0) close(wake_fd_);
  fanotify_fd_ = wake_fd_ = -1;
}

void Group::Run() {
  pollfd both[2] = {{wake_fd_, POLLIN, 0}, {fanotify_fd_, POLLIN, 0}};
  while (true) {
    bool held;
    {
      std::lock_guard<std::mutex> guard(lock_);
      if (stop_) break;
      held = hold_;
      if (!held && !round_.active() && requested_ > proven_) {
        round_.Begin(requested_, MonotonicUs(), watches_.Targets());
        overflows_at_round_ = intake_.counters().overflows;
      }
    }
    if (round_.active()) round_.Touch();
    bool emptied = true;
    if (!held) emptied = ReadOnce();
    if (!emptied || (round_.active() && !held)) continue;
    // Descriptor 0 wakes at once, for sync and stop; events may gather.
    const timespec gather{0, busy_ || queue_limited_ ? kBusyGatherNs : kGatherNs};
    if (!held) ppoll(both, 1, &gather, nullptr);
    both[0].revents = 0;
    ppoll(both, held ? 1 : 2, nullptr, nullptr);
    uint64_t count;
    if ((both[0].revents & POLLIN) != 0 && read(wake_fd_, &count, sizeof count) < 0) continue;
  }
  std::lock_guard<std::mutex> guard(lock_);
  final_cpu_us_ = ThreadCpuUs(CLOCK_THREAD_CPUTIME_ID);
}

// Returns whether the queue was left empty.
bool Group::ReadOnce() {
  int64_t before;
  {
    std::lock_guard<std::mutex> guard(lock_);
    reading_ = true;
    before = MonotonicUs();
  }
  const ssize_t got = read(fanotify_fd_, buffer_.data(), buffer_.size());
  const int err = got < 0 ? errno : 0;
  std::unique_lock<std::mutex> lock(lock_);
  const int64_t now = MonotonicUs();
  bool emptied = false;
  busy_ = got > kBusyBytes;
  if (got > 0) {
    intake_.Consume(buffer_.data(), static_cast<size_t>(got), last_ok_us_, now, &round_);
    emptied = static_cast<size_t>(got) + kLargestEvent <= buffer_.size();
  } else if (got == 0 || err == EAGAIN) {
    emptied = true;
    if (round_.active()) {
      std::vector<uint64_t> blind;
      round_.QueueEmpty(intake_.counters().overflows != overflows_at_round_, &blind);
      for (const uint64_t id : blind)
        if (watches_.NoteBlind(id)) intake_.AddLoss("fanotify-watch", 1, until_us_, now);
    }
  } else if (err != EINTR) {
    intake_.counters().read_errors++;
    intake_.AddLoss("fanotify-read", 1, last_ok_us_, now);
    emptied = true;
  }
  if (emptied && (got > 0 || err == EAGAIN)) until_us_ = last_ok_us_ = before;
  reading_ = false;
  if (round_.Finish()) {
    proven_ = round_.ticket();
    until_us_ = std::max(until_us_, round_.begun_us());
    lock.unlock();
    on_proven_();
  }
  return emptied;
}

}  // namespace fan
