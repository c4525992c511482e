// The command of a run: which one it is, and its start. Must not know what is recorded of it.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

namespace local {

struct Command {
  std::vector<std::string> words;
  std::string file;  // of the program; empty, with errno, if the root has none
  bool is_chroot = false;
};

// The words given; if there are none, the root's /chroot, else a shell of it.
Command ChooseCommand(char* const* given);

// Returns 0 when it runs, else the errno of what failed.
int StartCommand(const Command& command, pid_t* pid);

}  // namespace local
