// The first process of a run's pid namespace: makes the world, starts the command in it, reports
// what the run does with files, and ends with it. Must not know sessions or the daemon.
//
// Whatever is killed, nothing stays: the kernel ends every process of the namespace with this one,
// and the mounts go with the last process. This one ends with its command, with whoever holds the
// other end of the channel, and with its parent.
#pragma once

namespace local {

// `channel`: a socket; reports go out, bytes come in: a first one as leave to begin, after it
// numbers of signals for the command.
// `command`: empty for the root's own way in. Its environment is this process's.
[[noreturn]] void RunInit(int channel, char* const* command);

}  // namespace local
