// The file systems of a run: its root and nothing else of the server, and what a root expects to be
// mounted. Runs in the new namespaces' first process. Must not know the command or what is
// recorded.
#pragma once
#include <string>
#include <vector>

#include "local/mounts.h"

namespace local {

// What failed, for a person; empty: nothing did. errno is that of the failure.
using Failed = std::string;

// Makes the directory that is the current one the root of this mount namespace, with what is
// mounted below it, and lets go of everything else.
Failed EnterRoot();

// An own procfs that is mounted nowhere; -1 with errno.
int OpenProc();

// Unmounts each procfs that came with the root: it shows the server's processes, whose links lead
// to its files. *mounts: what is left.
Failed LeaveProcs(int proc_fd, std::vector<Mount>* mounts);

// /proc, /sys (read-only) and an instance of /dev/pts of its own. Adds to *missing what cannot be
// mounted for want of a directory, and /dev/null where there is none.
Failed MountUsual(bool with_sys, std::vector<std::string>* missing);

// Takes from all that will run here what would reach the server itself and no root needs.
Failed DropCapabilities();

}  // namespace local
