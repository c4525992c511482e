#include "nfsd/perf_rings.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <queue>

#include "nfsd/ring_record.h"

namespace {

// linux/perf_event.h of older headers lacks it; the bit is 1 << 4 since 6.0.
constexpr uint64_t kFormatLost = 1u << 4;
// perf_event_header.size has 16 bits.
constexpr size_t kMaxRecord = 65536;

size_t PageSize() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

std::string OnlineCpus() {
  char buffer[4096];
  int fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "0";
  ssize_t got = read(fd, buffer, sizeof buffer);
  close(fd);
  return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : std::string("0");
}

}  // namespace

uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

std::vector<int> ParseCpuList(const std::string& text) {
  std::vector<int> out;
  const char* at = text.c_str();
  while (*at >= '0' && *at <= '9') {
    char* end;
    long first = strtol(at, &end, 10), last = first;
    if (*end == '-') last = strtol(end + 1, &end, 10);
    for (long cpu = first; cpu <= last && out.size() < 65536; cpu++)
      out.push_back(static_cast<int>(cpu));
    at = *end == ',' ? end + 1 : end;
  }
  return out;
}

struct PerfRings::Ring {
  int cpu = -1;
  std::vector<int> fds;
  void* map = MAP_FAILED;
  size_t map_bytes = 0;
  RingBytes bytes;
  uint64_t tail = 0;       // what was consumed here
  uint64_t published = 0;  // what the kernel was told of it
  RawRecord next{};        // the record at tail, when there is one
  uint64_t next_bytes = 0;
  uint64_t last_ns = 0;  // of the last record read
  uint64_t lost_by_record = 0;
  uint64_t lost_by_counter = 0;
  uint64_t lost_noted = 0;
  bool was_full = false;  // since the counters were last asked
  uint64_t suspect_at =
      0;  // where the ring's head was when it was last full, until a record follows

  ~Ring() {
    if (map != MAP_FAILED) munmap(map, map_bytes);
    for (int fd : fds) close(fd);
  }
  perf_event_mmap_page* page() const { return static_cast<perf_event_mmap_page*>(map); }
  uint64_t head() const { return __atomic_load_n(&page()->data_head, __ATOMIC_ACQUIRE); }
};

PerfRings::PerfRings() = default;
PerfRings::~PerfRings() { Close(); }

void PerfRings::Close() {
  rings_.clear();
  enabled_ = false;
}

int PerfRings::OpenCpu(int cpu, size_t ring_bytes, std::unique_ptr<Ring>* out, std::string* step) {
  auto ring = std::make_unique<Ring>();
  ring->cpu = cpu;
  for (const TraceEventSpec& spec : events_) {
    perf_event_attr attr{};
    attr.size = sizeof attr;
    attr.type = PERF_TYPE_TRACEPOINT;
    attr.config = spec.id;
    attr.sample_period = 1;
    // The thread is in the raw record (common_pid), and there it is the same from inside of any pid
    // namespace; PERF_SAMPLE_TID is 0 for kernel threads seen from another one.
    attr.sample_type = PERF_SAMPLE_TIME | PERF_SAMPLE_RAW;
    attr.read_format = counters_ ? kFormatLost : 0;
    attr.disabled = 1;
    attr.sample_id_all = 1;  // PERF_RECORD_LOST carries its time
    attr.use_clockid = 1;
    attr.clockid = CLOCK_MONOTONIC;
    attr.watermark = 1;
    attr.wakeup_watermark = static_cast<uint32_t>(ring_bytes / 4);
    long fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0 && errno == EINVAL && counters_) {
      counters_ = false;  // before 6.0
      attr.read_format = 0;
      fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
    }
    if (fd < 0) {
      *step = "perf_event_open";
      return errno;
    }
    ring->fds.push_back(static_cast<int>(fd));
    // Without its filter an event gives more than is wanted, which its reader ignores.
    if (!spec.filter.empty() &&
        ioctl(static_cast<int>(fd), PERF_EVENT_IOC_SET_FILTER, spec.filter.c_str()) != 0)
      filters_refused_++;
    if (ring->fds.size() == 1) {
      ring->map_bytes = PageSize() + ring_bytes;
      ring->map = mmap(nullptr, ring->map_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                       static_cast<int>(fd), 0);
      if (ring->map == MAP_FAILED) {
        *step = "mmap";
        return errno;
      }
      ring->bytes = {static_cast<const uint8_t*>(ring->map) + PageSize(), ring_bytes};
    } else if (ioctl(static_cast<int>(fd), PERF_EVENT_IOC_SET_OUTPUT, ring->fds[0]) != 0) {
      *step = "PERF_EVENT_IOC_SET_OUTPUT";
      return errno;
    }
  }
  *out = std::move(ring);
  return 0;
}

int PerfRings::Open(const std::vector<TraceEventSpec>& events, size_t ring_bytes,
                    std::string* step) {
  Close();
  events_ = events;
  filters_refused_ = 0;
  online_ = OnlineCpus();
  size_t size = PageSize();
  while (size * 2 <= ring_bytes) size *= 2;
  // All CPUs share one limit, so the first ones must not take what the last one needs.
  while (true) {
    rings_.clear();
    int err = 0;
    for (int cpu : ParseCpuList(online_)) {
      std::unique_ptr<Ring> ring;
      err = OpenCpu(cpu, size, &ring, step);
      if (err != 0) break;
      rings_.push_back(std::move(ring));
    }
    if (err == 0) break;
    bool refused = *step == "mmap" && (err == EPERM || err == ENOMEM);
    if (!refused || size == PageSize()) {
      rings_.clear();
      return err;
    }
    size /= 2;
  }
  ring_bytes_ = size;
  cpus_checked_ns_ = MonotonicNs();
  return 0;
}

void PerfRings::Enable() {
  enabled_ = true;
  uint64_t now = MonotonicNs();
  for (size_t event = 0; event < events_.size(); event++)
    for (auto& ring : rings_) ioctl(ring->fds[event], PERF_EVENT_IOC_ENABLE, 0);
  for (auto& ring : rings_) ring->last_ns = now;
}

void PerfRings::Disable() {
  enabled_ = false;
  for (auto& ring : rings_)
    for (int fd : ring->fds) ioctl(fd, PERF_EVENT_IOC_DISABLE, 0);
}

void PerfRings::NoteLoss(Ring* ring, uint64_t to_ns) {
  // The same drops are told twice: by a counter at once, by PERF_RECORD_LOST with the next record.
  uint64_t known = std::max(ring->lost_by_record, ring->lost_by_counter);
  if (known <= ring->lost_noted) return;
  uint64_t count = known - ring->lost_noted;
  ring->lost_noted = known;
  lost_ += count;
  losses_.push_back({"trace-ring", ring->cpu, count, ring->last_ns, to_ns});
}

void PerfRings::AskCounters(Ring* ring) {
  if (!counters_) return;
  uint64_t sum = 0;
  for (int fd : ring->fds) {
    uint64_t values[2] = {0, 0};  // value, lost
    if (read(fd, values, sizeof values) == sizeof values) sum += values[1];
  }
  ring->lost_by_counter = sum;
  NoteLoss(ring, MonotonicNs());
}

// Makes ring->next the record at its tail, if there is one that is not later than the limit.
bool PerfRings::Peek(Ring* ring, uint64_t limit_ns) {
  if (ring->next_bytes != 0) return ring->next.time_ns <= limit_ns;
  uint64_t head = ring->head();
  // A ring that small is suspected of nothing while it is empty.
  size_t reserve = std::min(kMaxRecord, ring->bytes.size() / 2);
  if (ring->bytes.size() - (head - ring->published) < reserve) {
    ring->was_full = true;
    ring->suspect_at = head;
  }
  while (ring->tail != head) {
    const RingRecord record = ring->bytes.Read(ring->tail, head);
    if (record.kind == RingRecord::Kind::kBroken) {
      ring->tail = head;
      ring->lost_by_record++;
      NoteLoss(ring, MonotonicNs());
      return false;
    }
    if (ring->tail >= ring->suspect_at) ring->suspect_at = 0;
    if (record.kind == RingRecord::Kind::kSample) {
      ring->next = record.sample;
      ring->next_bytes = record.bytes;
      return ring->next.time_ns <= limit_ns;
    }
    if (record.kind == RingRecord::Kind::kLost) {
      ring->lost_by_record += record.lost;
      NoteLoss(ring, record.time_ns);
    }
    ring->tail += record.bytes;
  }
  return false;
}

size_t PerfRings::Read(uint64_t limit_ns, size_t max_records, const Handler& handler) {
  using Entry = std::pair<uint64_t, Ring*>;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<Entry>> order;
  for (auto& ring : rings_)
    if (Peek(ring.get(), limit_ns)) order.emplace(ring->next.time_ns, ring.get());
  size_t count = 0;
  while (!order.empty() && count < max_records) {
    Ring* ring = order.top().second;
    order.pop();
    handler(ring->next, ring->cpu);
    count++;
    ring->last_ns = ring->next.time_ns;
    ring->tail += ring->next_bytes;
    ring->next_bytes = 0;
    if (Peek(ring, limit_ns)) order.emplace(ring->next.time_ns, ring);
  }
  Publish();
  return count;
}

void PerfRings::Publish() {
  for (auto& ring : rings_) {
    if (ring->published == ring->tail) continue;
    ring->published = ring->tail;
    __atomic_store_n(&ring->page()->data_tail, ring->tail, __ATOMIC_RELEASE);
  }
}

void PerfRings::TakeLosses(bool last, std::vector<RingLoss>* out) {
  for (auto& ring : rings_) {
    if (last && !counters_ && ring->suspect_at != 0) {
      ring->lost_by_counter = ring->lost_noted + 1;
      NoteLoss(ring.get(), MonotonicNs());
    }
    if (!ring->was_full) continue;
    ring->was_full = false;
    AskCounters(ring.get());
  }
  out->insert(out->end(), losses_.begin(), losses_.end());
  losses_.clear();
}

void PerfRings::FollowCpus() {
  uint64_t since = cpus_checked_ns_;
  std::string online = OnlineCpus();
  cpus_checked_ns_ = MonotonicNs();
  if (online == online_ || !enabled_) return;
  std::vector<int> cpus = ParseCpuList(online);
  for (size_t i = rings_.size(); i-- > 0;)
    if (std::find(cpus.begin(), cpus.end(), rings_[i]->cpu) == cpus.end())
      rings_.erase(rings_.begin() + static_cast<long>(i));
  for (int cpu : cpus) {
    bool known = std::any_of(rings_.begin(), rings_.end(),
                             [cpu](const auto& ring) { return ring->cpu == cpu; });
    if (known) continue;
    std::unique_ptr<Ring> ring;
    std::string step;
    int err = 0;
    for (size_t size = ring_bytes_; size >= PageSize(); size /= 2) {
      err = OpenCpu(cpu, size, &ring, &step);
      if (err == 0 || step != "mmap") break;
    }
    lost_++;
    losses_.push_back({"trace-cpu", cpu, 1, since, MonotonicNs()});
    // Without its ring the CPU stays unknown: it is tried, and counted, again the next time.
    if (err != 0) continue;
    for (int fd : ring->fds) ioctl(fd, PERF_EVENT_IOC_ENABLE, 0);
    ring->last_ns = MonotonicNs();
    rings_.push_back(std::move(ring));
  }
  if (rings_.size() == cpus.size()) online_ = online;
}

std::vector<int> PerfRings::PollFds() const {
  std::vector<int> out;
  for (const auto& ring : rings_) out.push_back(ring->fds[0]);
  return out;
}
