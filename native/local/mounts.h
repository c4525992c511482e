// The mounts that a process sees, from its mountinfo. Owns nothing. Must not know what they are
// wanted for.
#pragma once
#include <string>
#include <vector>

namespace local {

struct Mount {
  std::string path;  // bytes, unescaped
  std::string type;
};

// In the kernel's order: what lies on another comes after it. `proc_fd`: a procfs. False with
// errno.
bool ReadMounts(int proc_fd, std::vector<Mount>* out);

}  // namespace local
