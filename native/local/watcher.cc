#include "local/watcher.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace local {

namespace {

constexpr size_t kBufferSize = 256 * 1024;
// Beyond so many objects made by one run, more of them are taken for older ones.
constexpr size_t kMostMade = 1u << 20;
constexpr uint64_t kDirectoryMoves = FAN_MOVED_FROM | FAN_MOVED_TO | FAN_DELETE;
constexpr uint64_t kMask = FAN_OPEN | FAN_ACCESS | FAN_MODIFY | FAN_ATTRIB | FAN_CREATE |
                           FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO | FAN_ONDIR;

// File systems without files of anyone's: what is read in them is the kernel's.
constexpr std::array<const char*, 12> kKernels = {"proc",       "sysfs",    "devpts", "cgroup",
                                                  "cgroup2",    "tracefs",  "mqueue", "debugfs",
                                                  "securityfs", "configfs", "bpf",    "rpc_pipefs"};

bool IsKernels(const std::string& type) {
  return std::any_of(kKernels.begin(), kKernels.end(),
                     [&type](const char* one) { return type == one; });
}

int InitFanotify() {
  constexpr unsigned int kFlags = FAN_CLASS_NOTIF | FAN_CLOEXEC | FAN_NONBLOCK | FAN_REPORT_FID |
                                  FAN_REPORT_DFID_NAME | FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS;
  constexpr unsigned int kFileFlags = O_RDONLY | O_LARGEFILE | O_CLOEXEC;
  // FAN_REPORT_TARGET_FID (5.17): creations name the new object's own handle.
  const int fd = fanotify_init(kFlags | FAN_REPORT_TARGET_FID, kFileFlags);
  return fd >= 0 || errno != EINVAL ? fd : fanotify_init(kFlags, kFileFlags);
}

int64_t Nanoseconds(int64_t seconds, int64_t nanoseconds) {
  return seconds * 1000000000 + nanoseconds;
}

std::string Join(const std::string& directory, const fan::EventInfo& info) {
  const std::string name(reinterpret_cast<const char*>(info.name), info.name_size);
  // An event on a directory itself has the name ".".
  if (name.empty() || name == ".") return directory;
  return directory == "/" ? directory + name : directory + "/" + name;
}

}  // namespace

bool Watcher::Start(const std::vector<Mount>& mounts) {
  // The clock that file systems take their times from.
  timespec now;
  clock_gettime(CLOCK_REALTIME_COARSE, &now);
  started_ns_ = Nanoseconds(now.tv_sec, now.tv_nsec);
  buffer_.resize(kBufferSize);
  fanotify_fd_ = InitFanotify();
  if (fanotify_fd_ < 0) return false;
  if (!files_.Watch(fanotify_fd_, kMask, "/")) return false;
  for (const Mount& mount : mounts)
    if (mount.path != "/" && !IsKernels(mount.type) &&
        !files_.Watch(fanotify_fd_, kMask, mount.path))
      report_->Add(Kind::kUnwatched, static_cast<uint32_t>(errno), mount.path);
  return true;
}

void Watcher::Drain() {
  // As many events as wait now (the kernel counts each as its metadata alone): others may go on
  // adding to them faster than they are read.
  int waiting = 0;
  if (ioctl(fanotify_fd_, FIONREAD, &waiting) != 0) waiting = 0;
  for (int left = waiting / static_cast<int>(FAN_EVENT_METADATA_LEN); left > 0;) {
    const ssize_t got = read(fanotify_fd_, buffer_.data(), buffer_.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    left -= TakeAll(static_cast<size_t>(got));
  }
}

int Watcher::TakeAll(size_t size) {
  int taken = 0;
  for (size_t at = 0; at + FAN_EVENT_METADATA_LEN <= size; taken++) {
    fanotify_event_metadata event;
    memcpy(&event, &buffer_[at], sizeof event);
    if (event.event_len < event.metadata_len || event.event_len > size - at) {
      report_->Add(Kind::kLost, 1);
      return taken + 1;
    }
    Take(event, &buffer_[at + event.metadata_len], event.event_len - event.metadata_len);
    at += event.event_len;
  }
  return taken;
}

void Watcher::Take(const fanotify_event_metadata& event, const uint8_t* data, size_t size) {
  if ((event.mask & FAN_Q_OVERFLOW) != 0) return report_->Add(Kind::kLost, 1);
  // Whoever moves a directory, the paths below it change.
  if ((event.mask & FAN_ONDIR) != 0 && (event.mask & kDirectoryMoves) != 0) files_.ForgetPaths();
  if (event.pid == 0 || event.pid == getpid()) return;
  fan::EventInfo info;
  if (!fan::ParseEventInfo(data, size, &info)) return report_->Add(Kind::kLost, 1);
  // A file that lost a name has new attributes: its link count. That is no access to it.
  if (!info.parent && (event.mask & ~FAN_ONDIR) == FAN_ATTRIB) return;
  const Place place = info.parent ? files_.PlaceOf(info.fsid, info.parent) : Place();
  if (place.where == Place::kOutside) return;
  if (place.where == Place::kGone) return report_->Add(Kind::kGone, 1);
  const std::string path = Join(place.path, info);
  if ((event.mask & FAN_CREATE) != 0) NoteNew(info, path);
  const bool made = info.object && made_.count(KeyOf(info.fsid, info.object)) != 0;
  report_->Add(Kind::kAccess, static_cast<uint32_t>(event.mask) | (made ? kCreated : 0), path);
}

bool Watcher::IsNew(const std::string& path) const {
  struct statx st;
  constexpr unsigned int kWanted = STATX_BTIME | STATX_NLINK | STATX_TYPE;
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, kWanted, &st) != 0) return true;
  if ((st.stx_mask & STATX_BTIME) != 0)
    return Nanoseconds(st.stx_btime.tv_sec, st.stx_btime.tv_nsec) >= started_ns_;
  return S_ISDIR(st.stx_mode) || st.stx_nlink == 1;
}

void Watcher::NoteNew(const fan::EventInfo& info, const std::string& path) {
  if (made_.size() >= kMostMade || !IsNew(path)) return;
  if (info.object) {
    made_.insert(KeyOf(info.fsid, info.object));
    return;
  }
  alignas(struct file_handle) char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
  struct file_handle* handle = reinterpret_cast<struct file_handle*>(space);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id;
  if (name_to_handle_at(AT_FDCWD, path.c_str(), handle, &mount_id, 0) != 0) return;
  made_.insert(KeyOf(info.fsid, {handle->handle_type, handle->handle_bytes,
                                 reinterpret_cast<const uint8_t*>(handle->f_handle)}));
}

}  // namespace local
