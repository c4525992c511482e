// Whose thread caused an event: the class of a process id, remembered for a moment.
// Owns the cache and the set of traced processes. Must not know events or JavaScript; whoever
// uses it serialises access.
#pragma once
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

namespace fan {

// The order is that of PID_CLASSES in the TypeScript decoder.
enum class PidClass : uint8_t { kNfsd, kServer, kTraced, kSelf, kOther };
constexpr int kPidClassCount = 5;

class PidClasses {
 public:
  explicit PidClasses(const std::vector<std::string>& server_names);
  ~PidClasses();
  PidClasses(const PidClasses&) = delete;
  PidClasses& operator=(const PidClasses&) = delete;

  // `now_us`: CLOCK_MONOTONIC. Looks into /proc only for a process not seen for a second.
  PidClass Of(pid_t pid, int64_t now_us) {
    if (pid == self_) return PidClass::kSelf;
    const Entry& entry = cache_[static_cast<uint32_t>(pid) % kEntries];
    if (entry.pid == pid && now_us < entry.expires_us) return entry.cls;
    return LookUp(pid, now_us);
  }

  void Trace(pid_t pid);
  void Untrace(pid_t pid);

 private:
  // An nfsd pool's threads have neighbouring ids, so they do not share entries.
  static constexpr uint32_t kEntries = 2048;
  struct Entry {
    int64_t expires_us = 0;
    pid_t pid = -1;
    PidClass cls = PidClass::kOther;
  };

  PidClass LookUp(pid_t pid, int64_t now_us);
  PidClass Inspect(pid_t pid) const;

  const pid_t self_;
  const int proc_fd_;
  std::vector<std::string> server_names_;
  std::unordered_set<pid_t> traced_;
  std::array<Entry, kEntries> cache_;
};

}  // namespace fan
