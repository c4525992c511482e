#include "fanotify/pid_classes.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fan {

namespace {

// A process id can be given to another program after this long; also how long an exec into a
// server's program goes unnoticed.
constexpr int64_t kExpiryUs = 1000000;
constexpr size_t kCommSize = 15;                // TASK_COMM_LEN - 1
constexpr unsigned long kKthread = 0x00200000;  // PF_KTHREAD, include/linux/sched.h

// Reads /proc/PID/FILE; the number of bytes, or -1 when the process has gone.
ssize_t ReadProc(int proc_fd, pid_t pid, const char* file, char* out, size_t size) {
  char path[32];
  snprintf(path, sizeof path, "%d/%s", pid, file);
  const int fd = openat(proc_fd, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t got = read(fd, out, size);
  close(fd);
  return got;
}

bool IsKernelThread(int proc_fd, pid_t pid) {
  char stat[512];
  const ssize_t got = ReadProc(proc_fd, pid, "stat", stat, sizeof stat - 1);
  if (got <= 0) return false;
  stat[got] = 0;
  // comm may hold anything, a ')' too: what follows the last one is machine-made (proc(5)).
  const char* at = strrchr(stat, ')');
  if (at == nullptr) return false;
  unsigned long flags = 0;
  if (sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %lu", &flags) != 1) return false;
  return (flags & kKthread) != 0;
}

// Whether root started it: not a user who names a program so, nor a set-user-ID program of another
// name that a user's link leads to.
bool IsRoots(int proc_fd, pid_t pid) {
  char status[1024];
  const ssize_t got = ReadProc(proc_fd, pid, "status", status, sizeof status - 1);
  if (got <= 0) return false;
  status[got] = 0;
  // A line break in comm is written as \n: no other line begins so.
  const char* at = strstr(status, "\nUid:");
  unsigned real = 1;
  return at != nullptr && sscanf(at + 5, "%u", &real) == 1 && real == 0;
}

}  // namespace

PidClasses::PidClasses(const std::vector<std::string>& server_names)
    : self_(getpid()), proc_fd_(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  for (const std::string& name : server_names) server_names_.push_back(name.substr(0, kCommSize));
}

PidClasses::~PidClasses() {
  if (proc_fd_ >= 0) close(proc_fd_);
}

void PidClasses::Trace(pid_t pid) {
  traced_.insert(pid);
  cache_[static_cast<uint32_t>(pid) % kEntries].pid = -1;
}

void PidClasses::Untrace(pid_t pid) {
  traced_.erase(pid);
  cache_[static_cast<uint32_t>(pid) % kEntries].pid = -1;
}

PidClass PidClasses::LookUp(pid_t pid, int64_t now_us) {
  Entry& entry = cache_[static_cast<uint32_t>(pid) % kEntries];
  entry.pid = pid;
  entry.expires_us = now_us + kExpiryUs;
  entry.cls = traced_.count(pid) != 0 ? PidClass::kTraced : Inspect(pid);
  return entry.cls;
}

PidClass PidClasses::Inspect(pid_t pid) const {
  char comm[64];
  // `comm` costs a fraction of `stat`; the flags are wanted only where the name fits. The event
  // names the thread group, so a server's worker threads count as their process.
  ssize_t got = ReadProc(proc_fd_, pid, "comm", comm, sizeof comm);
  if (got <= 0) return PidClass::kOther;
  if (comm[got - 1] == '\n') got--;
  const std::string name(comm, static_cast<size_t>(got));
  if (name == "nfsd" && IsKernelThread(proc_fd_, pid)) return PidClass::kNfsd;
  for (const std::string& server : server_names_)
    if (name == server) return IsRoots(proc_fd_, pid) ? PidClass::kServer : PidClass::kOther;
  return PidClass::kOther;
}

}  // namespace fan
