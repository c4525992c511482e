#include "index/beneath.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "mountinfo.h"

namespace {

// Below PATH_MAX (4096, NUL included) with room for one more name.
constexpr size_t kStep = 3800;

int OpenStep(int dir, const char* path, int flags) {
  // What is read here must not look read: O_NOATIME, for who may (the owner or CAP_FOWNER).
  if ((flags & (O_PATH | O_NOATIME)) == 0) {
    int fd = OpenStep(dir, path, flags | O_NOATIME);
    if (fd >= 0 || errno != EPERM) return fd;
  }
  struct open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  return static_cast<int>(syscall(SYS_openat2, dir, path, &how, sizeof how));
}

}  // namespace

int OpenBeneath(int root, const std::string& path, int flags) {
  if (path.empty()) return OpenStep(root, ".", flags);
  int dir = root;
  size_t at = 0;
  while (path.size() - at > kStep) {
    size_t end = path.rfind('/', at + kStep);
    if (end == std::string::npos || end <= at) {
      if (dir != root) close(dir);
      errno = ENAMETOOLONG;
      return -1;
    }
    int next = OpenStep(dir, path.substr(at, end - at).c_str(), O_PATH | O_DIRECTORY);
    int error = errno;
    if (dir != root) close(dir);
    if (next < 0) {
      errno = error;
      return -1;
    }
    dir = next;
    at = end + 1;
  }
  int fd = OpenStep(dir, path.c_str() + at, flags);
  int error = errno;
  if (dir != root) close(dir);
  errno = error;
  return fd;
}

int OpenWithoutMounts(int dir) {
  return static_cast<int>(
      syscall(SYS_open_tree, dir, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
}

uint32_t CountMountsBelow(const std::string& path) {
  FILE* file = fopen("/proc/self/mountinfo", "re");
  if (file == nullptr) return 0;
  const std::string prefix = path == "/" ? path : path + "/";
  uint32_t count = 0;
  char* line = nullptr;
  size_t capacity = 0;
  ssize_t length;
  while ((length = getline(&line, &capacity, file)) > 0) {
    std::string_view rest(line, static_cast<size_t>(length));
    for (int field = 0; field < 4; field++) {
      size_t space = rest.find(' ');
      rest.remove_prefix(space == std::string_view::npos ? rest.size() : space + 1);
    }
    std::string mount = UnescapeMountPath(rest.substr(0, rest.find(' ')));
    if (mount.size() > prefix.size() && mount.compare(0, prefix.size(), prefix) == 0) count++;
  }
  free(line);
  fclose(file);
  return count;
}
