#include "local/file_systems.h"

#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "fanotify/btrfs_top.h"

namespace local {

namespace {

constexpr size_t kFsidSize = 8;
// As many places as are remembered; then all are forgotten, and asked for again.
constexpr size_t kMostPlaces = 200000;

struct Handle {
  alignas(struct file_handle) char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
  struct file_handle* get() {
    return reinterpret_cast<struct file_handle*>(space);
  }
};

int OpenHandle(int mount_fd, const fan::HandleView& view) {
  Handle handle;
  handle.get()->handle_type = view.type;
  handle.get()->handle_bytes = view.size;
  memcpy(handle.get()->f_handle, view.data, view.size);
  return open_by_handle_at(mount_fd, handle.get(), O_PATH | O_CLOEXEC);
}

bool CanOpenHandles(int fd) {
  Handle handle;
  handle.get()->handle_bytes = MAX_HANDLE_SZ;
  int mount_id;
  if (name_to_handle_at(fd, "", handle.get(), &mount_id, AT_EMPTY_PATH) != 0) return false;
  const int opened = open_by_handle_at(fd, handle.get(), O_PATH | O_CLOEXEC);
  if (opened >= 0) close(opened);
  return opened >= 0;
}

bool Mark(int fanotify_fd, uint64_t mask, int fd, std::string* fsid) {
  const int top = fan::OpenBtrfsTop(fd);
  const int whole = top < 0 ? fd : top;
  struct statfs fs;
  const bool ok =
      fstatfs(whole, &fs) == 0 &&
      fanotify_mark(fanotify_fd, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, whole, nullptr) == 0;
  const int err = errno;
  if (ok) fsid->assign(reinterpret_cast<const char*>(&fs.f_fsid), kFsidSize);
  if (top >= 0) close(top);
  errno = err;
  return ok;
}

}  // namespace

std::string KeyOf(const uint8_t* fsid, const fan::HandleView& handle) {
  std::string key(reinterpret_cast<const char*>(fsid), kFsidSize);
  key.append(reinterpret_cast<const char*>(&handle.type), sizeof handle.type);
  return key.append(reinterpret_cast<const char*>(handle.data), handle.size);
}

bool FileSystems::Watch(int fanotify_fd, uint64_t mask, const std::string& path) {
  // A single file can be mounted too, and opening a device may do something: a watchdog starts.
  struct stat st;
  if (lstat(path.c_str(), &st) != 0) return false;
  if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
    errno = ENODEV;
    return false;
  }
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return false;
  std::string fsid;
  if (!CanOpenHandles(fd) || !Mark(fanotify_fd, mask, fd, &fsid)) {
    const int err = errno;
    close(fd);
    errno = err;
    return false;
  }
  mounts_[fsid].push_back(fd);
  return true;
}

const Place& FileSystems::PlaceOf(const uint8_t* fsid, const fan::HandleView& directory) {
  if (places_.size() >= kMostPlaces) places_.clear();
  const auto [known, isNew] = places_.try_emplace(KeyOf(fsid, directory));
  if (isNew) known->second = Resolve(fsid, directory);
  return known->second;
}

Place FileSystems::Resolve(const uint8_t* fsid, const fan::HandleView& directory) const {
  const auto found = mounts_.find(std::string(reinterpret_cast<const char*>(fsid), kFsidSize));
  Place place;
  if (found == mounts_.end()) return place;
  for (const int mount_fd : found->second) {
    const int fd = OpenHandle(mount_fd, directory);
    if (fd < 0) continue;
    place = ReadPlace(fd);
    close(fd);
    if (place.where == Place::kInRoot) break;
  }
  return place;
}

Place FileSystems::ReadPlace(int fd) const {
  struct stat st, root;
  if (fstat(fd, &st) != 0 || st.st_nlink == 0) return {};
  char path[PATH_MAX];
  const std::string link = "self/fd/" + std::to_string(fd);
  const ssize_t size = readlinkat(proc_fd_, link.c_str(), path, sizeof path);
  if (size <= 0 || static_cast<size_t>(size) == sizeof path) return {};
  // What is outside of the mount is "/" too (prepend_path() of fs/d_path.c calls it escaped).
  const bool is_root = size == 1 && path[0] == '/';
  if (is_root && (stat("/", &root) != 0 || st.st_dev != root.st_dev || st.st_ino != root.st_ino))
    return {Place::kOutside, {}};
  return {Place::kInRoot, std::string(path, static_cast<size_t>(size))};
}

}  // namespace local
