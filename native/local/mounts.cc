#include "local/mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "mountinfo.h"

namespace local {

namespace {

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> parts(1);
  for (const char c : text)
    if (c == at)
      parts.emplace_back();
    else
      parts.back().push_back(c);
  return parts;
}

bool ReadAll(int fd, std::string* out) {
  char part[16384];
  while (true) {
    const ssize_t got = read(fd, part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    out->append(part, static_cast<size_t>(got));
  }
}

}  // namespace

bool ReadMounts(int proc_fd, std::vector<Mount>* out) {
  const int fd = openat(proc_fd, "self/mountinfo", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::string text;
  const bool ok = ReadAll(fd, &text);
  close(fd);
  if (!ok) return false;
  // id parent dev root PATH options [optional...] - TYPE source options (proc(5))
  for (const std::string& line : Split(text, '\n')) {
    const std::vector<std::string> fields = Split(line, ' ');
    for (size_t dash = 6; dash + 1 < fields.size(); dash++) {
      if (fields[dash] != "-") continue;
      out->push_back({UnescapeMountPath(fields[4]), fields[dash + 1]});
      break;
    }
  }
  return true;
}

}  // namespace local
