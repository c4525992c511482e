#include "local/mounts.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

namespace local {

namespace {

bool IsOctal(char c) { return c >= '0' && c <= '7'; }

// The kernel writes blank, tab, newline and backslash as \ooo.
std::string Unescape(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] == '\\' && at + 3 < text.size() && IsOctal(text[at + 1]) &&
        IsOctal(text[at + 2]) && IsOctal(text[at + 3])) {
      out.push_back(static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 +
                                      (text[at + 3] - '0')));
      at += 3;
    } else {
      out.push_back(text[at]);
    }
  }
  return out;
}

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
      out->push_back({Unescape(fields[4]), fields[dash + 1]});
      break;
    }
  }
  return true;
}

}  // namespace local
