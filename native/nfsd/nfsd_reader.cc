#include "nfsd/nfsd_reader.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace {

// How many records are interpreted before the lock is given up and ring space is freed.
constexpr size_t kChunk = 4096;
// Between the module's loading and the first call of a client lie at least exportfs, rpc.nfsd and
// the client's own connect; a look at one folder costs microseconds.
constexpr int kProbeMs = 100;
// Events that are there and cannot be opened, or are of no use, seldom change: but while a module
// is being loaded they do, so that the time between two tries doubles up to this.
constexpr uint64_t kMostRetryNs = 5'000'000'000;
constexpr int kBusyMs = 100;
constexpr int kIdleMs = 400;
constexpr uint64_t kCpuCheckNs = 1'000'000'000;

uint64_t ThreadCpuNs() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(used.tv_nsec);
}

// A ring for each CPU must not add up to more than this on a large machine.
size_t RingBytes(size_t wanted) {
  constexpr size_t kAllRings = 256u << 20;
  long cpus = std::max(1L, sysconf(_SC_NPROCESSORS_ONLN));
  return std::min(wanted, std::max<size_t>(kAllRings / static_cast<size_t>(cpus), 512u << 10));
}

}  // namespace

NfsdReader::NfsdReader(Options options) : options_(std::move(options)) {}

NfsdReader::~NfsdReader() {
  Stop();
  if (wake_fd_ >= 0) close(wake_fd_);
}

int NfsdReader::Start(std::string* step) {
  wake_fd_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd_ < 0) {
    *step = "eventfd";
    return errno;
  }
  int err = 0;
  TryOpen(step, &err);
  if (err != 0) {
    std::lock_guard<std::mutex> lock(mutex_);
    status_.state = ReaderState::kIdle;
    return err;
  }
  thread_ = std::thread([this] { Run(); });
  return 0;
}

// True when the events were opened. `err` when they are there but cannot be.
bool NfsdReader::TryOpen(std::string* step, int* err) {
  *err = 0;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    status_.state = ReaderState::kWaiting;
    until_ns_ = MonotonicNs();
  }
  if (!HasNfsdEvents(options_.tracefs)) return false;
  EventPlan plan = PlanEvents(TracefsLoader(options_.tracefs), options_.plan);
  if (!NfsdModuleLive()) return false;
  if (plan.tier == NfsTier::kNone) {
    std::lock_guard<std::mutex> lock(mutex_);
    status_.problem = "this kernel's NFS server does not trace who reads what";
    return false;
  }
  std::vector<TraceEventSpec> specs;
  for (const PlannedEvent& event : plan.events) specs.push_back({event.format.id, event.filter});
  *err = rings_.Open(specs, RingBytes(options_.ring_bytes), step);
  if (*err != 0) return false;
  rings_.Enable();
  uint64_t now = MonotonicNs();
  std::lock_guard<std::mutex> lock(mutex_);
  interpreter_ = std::make_unique<NfsInterpreter>(plan, options_.table_limit, now);
  status_.tier = plan.tier;
  status_.by_probe = plan.by_probe;
  status_.running_since_ns = now;
  status_.cpus = rings_.cpus();
  status_.ring_bytes = rings_.ring_bytes();
  status_.filters_refused = rings_.filters_refused();
  status_.state = ReaderState::kRunning;
  status_.problem = plan.broken.empty() ? "" : "format file not understood: " + plan.broken;
  return true;
}

void NfsdReader::Run() {
  pthread_setname_np(pthread_self(), "trace-nfsd");
  uint64_t cpus_checked_ns = MonotonicNs();
  bool running;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    running = status_.state == ReaderState::kRunning;
  }
  uint64_t events_before = 0;
  uint64_t try_again_ns = 0;
  uint64_t retry_ns = kProbeMs * 1'000'000;
  bool idle = false;
  while (true) {
    WaitForWork(idle);
    uint64_t wanted;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      wanted = sync_wanted_;
    }
    bool last = stop_.load();
    uint64_t now = MonotonicNs();
    if (!running && !last && now >= try_again_ns) {
      std::string step;
      int err;
      running = TryOpen(&step, &err);
      std::lock_guard<std::mutex> lock(mutex_);
      if (err != 0) status_.problem = step + ": " + strerror(err);
      now = MonotonicNs();
      if (!running && !status_.problem.empty()) {
        try_again_ns = now + retry_ns;
        retry_ns = std::min(2 * retry_ns, kMostRetryNs);
      }
    }
    if (running) {
      if (last) rings_.Disable();
      ReadUntil(last ? UINT64_MAX : now, last);
      if (now - cpus_checked_ns > kCpuCheckNs) {
        rings_.FollowCpus();
        cpus_checked_ns = now;
      }
    }
    std::lock_guard<std::mutex> lock(mutex_);
    uint64_t events = interpreter_ ? interpreter_->stats().events : 0;
    idle = events == events_before;
    events_before = events;
    until_ns_ = last ? MonotonicNs() : now;
    status_.cpus = rings_.cpus();
    status_.lost = rings_.lost();
    status_.thread_cpu_ns = ThreadCpuNs();
    sync_done_ = wanted;
    if (last) {
      status_.state = ReaderState::kStopped;
      sync_done_ = UINT64_MAX;
    }
    synced_.notify_all();
    if (last) break;
  }
  rings_.Close();
}

void NfsdReader::ReadUntil(uint64_t limit_ns, bool last) {
  size_t got;
  do {
    std::lock_guard<std::mutex> lock(mutex_);
    got = rings_.Read(limit_ns, kChunk,
                      [this](const RawRecord& record, int) { interpreter_->Handle(record); });
  } while (got == kChunk);
  std::vector<RingLoss> losses;
  rings_.TakeLosses(last, &losses);
  if (losses.empty()) return;
  std::lock_guard<std::mutex> lock(mutex_);
  for (const RingLoss& loss : losses)
    interpreter_->AddLoss(loss.where, loss.cpu, loss.count, loss.from_ns, loss.to_ns);
}

void NfsdReader::WaitForWork(bool idle) {
  std::vector<pollfd> fds{{wake_fd_, POLLIN, 0}};
  for (int fd : rings_.PollFds()) fds.push_back({fd, POLLIN, 0});
  int timeout = fds.size() == 1 ? kProbeMs : idle ? kIdleMs : kBusyMs;
  poll(fds.data(), fds.size(), timeout);
  uint64_t drop;
  while (read(wake_fd_, &drop, sizeof drop) > 0) continue;
}

void NfsdReader::Wake() {
  uint64_t one = 1;
  while (write(wake_fd_, &one, sizeof one) < 0 && errno == EINTR) continue;
}

std::string NfsdReader::Drain() {
  BatchTable batch;
  uint64_t until;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (interpreter_) batch = interpreter_->Take();
    until = until_ns_;
  }
  return batch.Encode(until);
}

void NfsdReader::Sync() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (status_.state == ReaderState::kIdle) return;
  uint64_t mine = ++sync_wanted_;
  Wake();
  synced_.wait(lock, [this, mine] { return sync_done_ >= mine; });
}

void NfsdReader::Stop() {
  if (!thread_.joinable()) return;
  stop_.store(true);
  Wake();
  thread_.join();
}

ReaderStatus NfsdReader::Status() {
  std::lock_guard<std::mutex> lock(mutex_);
  ReaderStatus status = status_;
  if (interpreter_) status.stats = interpreter_->stats();
  return status;
}
