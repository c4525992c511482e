// See root_tree.h.
#include "archive/root_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace {

// More levels than this are opened again from here for each directory: it bounds the descriptors
// that a hostile, very deep tree can make us hold.
constexpr size_t kMaxLevels = 64;

// STATX_MNT_ID_UNIQUE of Linux 6.8, for older headers.
constexpr unsigned kUniqueMountId = 0x4000;

int OpenBeneath(int directory, const char* path, int flags,
                unsigned long long crossing = RESOLVE_NO_XDEV) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | crossing;
  for (;;) {
    const long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
    // EAGAIN: a rename or mount elsewhere raced with the look-up (openat2(2)); EINTR: a signal.
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return static_cast<int>(fd);
  }
}

}  // namespace

bool IsPlainPath(std::string_view path) {
  if (path.empty()) return true;
  size_t start = 0;
  for (;;) {
    size_t end = path.find('/', start);
    if (end == std::string_view::npos) end = path.size();
    const size_t length = end - start;
    if (length == 0) return false;
    if (path[start] == '.' && (length == 1 || (length == 2 && path[start + 1] == '.')))
      return false;
    if (end == path.size()) break;
    start = end + 1;
  }
  return path.find('\0') == std::string_view::npos;
}

std::string WayTo(int directory, const char* name) {
  return "/proc/self/fd/" + std::to_string(directory) + "/" + (*name == '\0' ? "." : name);
}

int OpenQuietly(int directory, const char* name, int flags) {
  const int plain = flags | O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
  const int fd = openat(directory, name, plain | O_NOATIME);
  if (fd >= 0 || errno != EPERM) return fd;
  return openat(directory, name, plain);
}

bool RootTree::Open(const char* path) {
  Close();
  root_ = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root_ < 0) return false;
  const int probe = OpenBeneath(root_, ".", O_PATH | O_DIRECTORY);
  if (probe < 0) {
    const int saved = errno;
    Close();
    errno = saved;
    return false;
  }
  close(probe);
  return true;
}

bool RootTree::Enter(const std::string& path) {
  if (!IsPlainPath(path) || path.empty()) {
    errno = EINVAL;
    return false;
  }
  const char* name;
  const int parent = Parent(path, &name);
  const int fd = parent < 0 ? -1 : OpenBeneath(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, 0);
  if (fd < 0) {
    const bool gone = errno == ENOENT || errno == ENOTDIR || errno == ELOOP || errno == EXDEV;
    return gone;
  }
  entered_.push_back({path, fd});
  return true;
}

bool RootTree::MountIds(std::vector<uint64_t>* ids) const {
  std::vector<int> fds = {root_};
  for (const Entered& entered : entered_) fds.push_back(entered.fd);
  for (const int fd : fds) {
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH, kUniqueMountId, &st) != 0) return false;
    if ((st.stx_mask & kUniqueMountId) == 0) {
      errno = EOPNOTSUPP;
      return false;
    }
    ids->push_back(st.stx_mnt_id);
  }
  return true;
}

bool RootTree::OpenSame(const RootTree& other) {
  Close();
  root_ = fcntl(other.root_, F_DUPFD_CLOEXEC, 0);
  for (const Entered& entered : other.entered_) {
    const int fd = fcntl(entered.fd, F_DUPFD_CLOEXEC, 0);
    if (root_ < 0 || fd < 0) {
      const int saved = errno;
      Close();
      errno = saved;
      return false;
    }
    entered_.push_back({entered.path, fd});
  }
  return root_ >= 0;
}

void RootTree::Close() {
  for (const Level& level : levels_) close(level.fd);
  for (const Entered& entered : entered_) close(entered.fd);
  levels_.clear();
  entered_.clear();
  current_.clear();
  if (root_ >= 0) close(root_);
  root_ = -1;
}

int RootTree::Parent(std::string_view path, const char** name) {
  const size_t slash = path.rfind('/');
  // Of sorted paths most are in the directory of the one before.
  if (entered_.empty() && !levels_.empty() && levels_.back().length == slash &&
      path.substr(0, slash) == std::string_view(current_).substr(0, slash) &&
      IsPlainPath(path.substr(slash + 1)) && slash + 1 < path.size()) {
    *name = path.data() + slash + 1;
    return levels_.back().fd;
  }
  if (!IsPlainPath(path)) {
    errno = EINVAL;
    return -1;
  }
  // The innermost file system that the path leads into: from its top on it is one mount again.
  int base = root_;
  size_t from = 0;
  for (const Entered& entered : entered_) {
    const size_t length = entered.path.size();
    if (path.compare(0, length, entered.path) != 0) continue;
    if (path.size() == length) {
      *name = path.data() + length;
      return entered.fd;
    }
    if (path[length] != '/' || length < from) continue;
    base = entered.fd;
    from = length + 1;
  }
  if (slash == std::string_view::npos || slash < from) {
    *name = path.data() + from;
    return base;
  }
  *name = path.data() + slash + 1;

  // Drop the levels that are not on the way to this path's directory.
  const size_t common = static_cast<size_t>(
      std::mismatch(current_.begin(), current_.begin() + std::min(current_.size(), slash),
                    path.begin())
          .first -
      current_.begin());
  while (!levels_.empty()) {
    const size_t length = levels_.back().length;
    if (length <= common && (length == slash || path[length] == '/')) break;
    close(levels_.back().fd);
    levels_.pop_back();
  }
  if (!levels_.empty() && levels_.back().length == slash) return levels_.back().fd;
  // A level above the top of this file system is of another one.
  const bool within = !levels_.empty() && levels_.back().length >= from;
  const int nearest = within ? levels_.back().fd : base;
  const size_t known = within ? levels_.back().length + 1 : from;
  const std::string rest(path.substr(known, slash - known));
  const int fd = OpenBeneath(nearest, rest.c_str(), O_PATH | O_DIRECTORY);
  if (fd < 0) return -1;
  if (levels_.size() >= kMaxLevels) {
    close(levels_.back().fd);
    levels_.pop_back();
  }
  current_.assign(path.substr(0, slash));
  levels_.push_back({slash, fd});
  return fd;
}

bool RootTree::Stat(std::string_view path, struct statx* out) {
  const char* name;
  const int directory = Parent(path, &name);
  if (directory < 0) return false;
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name == '\0' ? AT_EMPTY_PATH : 0);
  return statx(directory, name, flags, STATX_BASIC_STATS, out) == 0;
}

bool RootTree::IsForeign(std::string_view path, const struct statx& st) const {
  if (path.empty() || (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) return false;
  return std::none_of(entered_.begin(), entered_.end(),
                      [&path](const Entered& entered) { return entered.path == path; });
}

int RootTree::OpenDirectory(std::string_view path) {
  const char* name;
  const int parent = Parent(path, &name);
  if (parent < 0) return -1;
  const int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOFOLLOW;
  const char* const last = *name == '\0' ? "." : name;
  const int fd = OpenBeneath(parent, last, flags | O_NOATIME);
  return fd >= 0 || errno != EPERM ? fd : OpenBeneath(parent, last, flags);
}

int RootTree::OpenFile(std::string_view path) {
  const char* name;
  const int parent = Parent(path, &name);
  if (parent < 0) return -1;
  struct stat before;
  if (fstatat(parent, name, &before, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) return -1;
  // Looked at before it is opened: opening a device node can already do something to the device.
  if (!S_ISREG(before.st_mode)) {
    errno = EINVAL;
    return -1;
  }
  return OpenQuietly(parent, name, 0);
}
