// See symlink_walk.h.
#include "archive/symlink_walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "archive/root_tree.h"

namespace {

// Gone or replaced since its name was read, or on another mount.
bool PassOver(int err) {
  return err == ENOENT || err == ENOTDIR || err == ELOOP || err == EXDEV || err == EINVAL;
}

unsigned char TypeOf(int directory, const struct dirent* entry) {
  if (entry->d_type != DT_UNKNOWN) return entry->d_type;
  struct stat st;
  if (fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) return DT_UNKNOWN;
  if (S_ISLNK(st.st_mode)) return DT_LNK;
  return S_ISDIR(st.st_mode) ? DT_DIR : DT_REG;
}

}  // namespace

void WalkSymlinks(RootTree* tree, SymlinkWalk* out) {
  std::vector<std::pair<std::string, std::string>> links;
  std::vector<std::string> waiting{""};
  char target[PATH_MAX + 1];
  const auto fail = [out](int err, const std::string& subject) {
    out->err = err;
    out->subject = subject;
  };
  while (!waiting.empty()) {
    const std::string path = std::move(waiting.back());
    waiting.pop_back();
    out->directories.append(path).push_back('\0');
    const int fd = tree->OpenDirectory(path);
    if (fd < 0) {
      if (PassOver(errno)) continue;
      return fail(errno, path);
    }
    DIR* const directory = fdopendir(fd);
    if (directory == nullptr) {
      const int err = errno;
      close(fd);
      return fail(err, path);
    }
    for (;;) {
      errno = 0;
      const struct dirent* const entry = readdir(directory);
      if (entry == nullptr) break;
      const char* const name = entry->d_name;
      if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
      const unsigned char type = TypeOf(fd, entry);
      if (type != DT_LNK && type != DT_DIR) continue;
      std::string full = path.empty() ? std::string(name) : path + "/" + name;
      // No client can name it, and no newc record: a tree that deep is somebody's prank.
      if (full.size() >= PATH_MAX) continue;
      if (type == DT_DIR) {
        waiting.push_back(std::move(full));
        continue;
      }
      const ssize_t length = readlinkat(fd, name, target, sizeof target);
      if (length >= 0) {
        links.emplace_back(std::move(full), std::string(target, static_cast<size_t>(length)));
      } else if (!PassOver(errno)) {
        fail(errno, full);
        closedir(directory);
        return;
      }
    }
    const int err = errno;
    closedir(directory);
    if (err != 0) return fail(err, path);
  }
  std::sort(links.begin(), links.end());
  for (const auto& link : links) {
    out->flat.append(link.first).push_back('\0');
    out->flat.append(link.second).push_back('\0');
  }
}
