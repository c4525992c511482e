#include "fanotify/watch_list.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "fanotify/btrfs_top.h"
#include "fanotify/masks.h"

namespace fan {

namespace {

// AT_HANDLE_FID, linux/fcntl.h since 6.5: a handle that identifies, even where the file system
// cannot open by handle. Some C libraries' headers lack it.
constexpr int kAtHandleFid = 0x200;

int OpenDirectory(const std::string& path) {
  return open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
}

// A descriptor that stands for the whole file system of `fd`: `fd` itself, or another one. Whoever
// calls closes both, if they differ.
int WholeOf(int fd) {
  const int top = OpenBtrfsTop(fd);
  return top < 0 ? fd : top;
}

bool IdentifyWhole(int fd, Identity* out) {
  struct stat st;
  struct statfs fs;
  if (fstat(fd, &st) != 0 || fstatfs(fd, &fs) != 0) return false;
  out->dev = st.st_dev;
  static_assert(sizeof fs.f_fsid == sizeof(Fsid), "fsid is 8 bytes");
  memcpy(out->fsid.data(), &fs.f_fsid, sizeof(Fsid));
  return true;
}

bool Identify(int fd, Identity* out) {
  const int whole = WholeOf(fd);
  const bool ok = IdentifyWhole(whole, out);
  if (whole != fd) close(whole);
  return ok;
}

}  // namespace

WatchTarget::Touched WatchTarget::Touch() {
  bool gone = true;
  for (const std::string& path : paths_) {
    const int fd = OpenDirectory(path);
    if (fd < 0) {
      gone = gone && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == ESTALE);
      continue;
    }
    Identity now;
    const bool same = Identify(fd, &now) && now == identity_;
    if (same) {
      handles_.clear();
      NoteHandle(fd, AT_EMPTY_PATH);
      NoteHandle(fd, AT_EMPTY_PATH | kAtHandleFid);
    }
    close(fd);
    if (same) return Touched::kYes;
  }
  return gone ? Touched::kGone : Touched::kNo;
}

void WatchTarget::NoteHandle(int fd, int flags) {
  alignas(struct file_handle) char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
  struct file_handle* handle = reinterpret_cast<struct file_handle*>(space);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id;
  if (name_to_handle_at(fd, "", handle, &mount_id, flags) != 0) return;
  handles_.push_back({handle->handle_type, std::string(reinterpret_cast<char*>(handle->f_handle),
                                                       handle->handle_bytes)});
}

bool WatchTarget::Is(const EventInfo& event) const {
  if (memcmp(event.fsid, identity_.fsid.data(), sizeof(Fsid)) != 0) return false;
  return std::any_of(handles_.begin(), handles_.end(), [&event](const Handle& handle) {
    return handle.type == event.object.type && handle.bytes.size() == event.object.size &&
           memcmp(handle.bytes.data(), event.object.data, event.object.size) == 0;
  });
}

Failure MarkFileSystem(int fanotify_fd, const std::string& path, Identity* out) {
  const int fd = OpenDirectory(path);
  if (fd < 0) return Failure::Now("open", path);
  const int whole = WholeOf(fd);
  Failure failure;
  if (!IdentifyWhole(whole, out))
    failure = Failure::Now("fstatfs", path);
  else if (fanotify_mark(fanotify_fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, kWatchMask, whole,
                         nullptr) != 0)
    failure = Failure::Now("fanotify_mark", path);
  if (whole != fd) close(whole);
  close(fd);
  return failure;
}

void UnmarkFileSystem(int fanotify_fd, const std::string& path, const Identity& identity) {
  const int fd = OpenDirectory(path);
  if (fd < 0) return;
  const int whole = WholeOf(fd);
  Identity now;
  if (IdentifyWhole(whole, &now) && now == identity)
    fanotify_mark(fanotify_fd, FAN_MARK_REMOVE | FAN_MARK_FILESYSTEM, kWatchMask, whole, nullptr);
  if (whole != fd) close(whole);
  close(fd);
}

void WatchList::Add(const std::string& path, const Identity& identity) {
  for (Watch& watch : watches_) {
    if (!(watch.identity == identity)) continue;
    watch.paths.push_back(path);
    watch.blind = false;
    return;
  }
  watches_.push_back({++last_id_, identity, false, {path}});
}

bool WatchList::Remove(const std::string& path, bool* unused, Identity* identity) {
  for (auto watch = watches_.begin(); watch != watches_.end(); ++watch) {
    const auto found = std::find(watch->paths.begin(), watch->paths.end(), path);
    if (found == watch->paths.end()) continue;
    watch->paths.erase(found);
    *unused = watch->paths.empty();
    *identity = watch->identity;
    if (*unused) watches_.erase(watch);
    return true;
  }
  return false;
}

std::vector<WatchTarget> WatchList::Targets() const {
  std::vector<WatchTarget> targets;
  for (const Watch& watch : watches_) targets.emplace_back(watch.id, watch.identity, watch.paths);
  return targets;
}

bool WatchList::NoteBlind(uint64_t id) {
  for (Watch& watch : watches_) {
    if (watch.id != id || watch.blind) continue;
    watch.blind = true;
    return true;
  }
  return false;
}

}  // namespace fan
