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

int OpenBeneath(int directory, const char* path, int flags) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  for (;;) {
    const long fd = syscall(SYS_openat2, directory, path, &how, sizeof how);
    // EAGAIN: a rename or mount elsewhere raced with the look-up (openat2(2)); EINTR: a signal.
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return static_cast<int>(fd);
  }
}

}  // namespace

bool IsPlainPath(const std::string& path) {
  if (path.empty()) return true;
  size_t start = 0;
  for (;;) {
    size_t end = path.find('/', start);
    if (end == std::string::npos) end = path.size();
    const size_t length = end - start;
    if (length == 0) return false;
    if (path[start] == '.' && (length == 1 || (length == 2 && path[start + 1] == '.')))
      return false;
    if (end == path.size()) break;
    start = end + 1;
  }
  return path.find('\0') == std::string::npos;
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

bool RootTree::OpenSame(const RootTree& other) {
  Close();
  root_ = fcntl(other.root_, F_DUPFD_CLOEXEC, 0);
  return root_ >= 0;
}

void RootTree::Close() {
  for (const Level& level : levels_) close(level.fd);
  levels_.clear();
  current_.clear();
  if (root_ >= 0) close(root_);
  root_ = -1;
}

int RootTree::Parent(const std::string& path, std::string* name) {
  if (!IsPlainPath(path)) {
    errno = EINVAL;
    return -1;
  }
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    *name = path;
    return root_;
  }
  name->assign(path, slash + 1, std::string::npos);

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
  const size_t known = levels_.empty() ? 0 : levels_.back().length;
  const int nearest = levels_.empty() ? root_ : levels_.back().fd;
  if (!levels_.empty() && known == slash) return nearest;

  const std::string rest =
      path.substr(known == 0 ? 0 : known + 1, slash - (known == 0 ? 0 : known + 1));
  const int fd = OpenBeneath(nearest, rest.c_str(), O_PATH | O_DIRECTORY);
  if (fd < 0) return -1;
  if (levels_.size() >= kMaxLevels) {
    close(levels_.back().fd);
    levels_.pop_back();
  }
  current_.assign(path, 0, slash);
  levels_.push_back({slash, fd});
  return fd;
}

bool RootTree::Stat(const std::string& path, struct statx* out) {
  std::string name;
  const int directory = Parent(path, &name);
  if (directory < 0) return false;
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (name.empty() ? AT_EMPTY_PATH : 0);
  return statx(directory, name.c_str(), flags, STATX_BASIC_STATS, out) == 0;
}

int RootTree::OpenDirectory(const std::string& path) {
  std::string name;
  const int parent = Parent(path, &name);
  if (parent < 0) return -1;
  const int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_NOFOLLOW;
  const char* const last = name.empty() ? "." : name.c_str();
  const int fd = OpenBeneath(parent, last, flags | O_NOATIME);
  return fd >= 0 || errno != EPERM ? fd : OpenBeneath(parent, last, flags);
}

int RootTree::OpenFile(const std::string& path) {
  std::string name;
  const int parent = Parent(path, &name);
  if (parent < 0) return -1;
  struct stat before;
  if (fstatat(parent, name.c_str(), &before, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) return -1;
  // Looked at before it is opened: opening a device node can already do something to the device.
  if (!S_ISREG(before.st_mode)) {
    errno = EINVAL;
    return -1;
  }
  return OpenQuietly(parent, name.c_str(), 0);
}
