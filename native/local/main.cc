// trace-world: runs a command in a root as in a machine of its own, and reports what it does with
// files. Started by `trace run` and `trace shell`, for nobody else's use:
//
//     trace-world [COMMAND...]    descriptor 3: the root's directory; 4: the channel (init.h)
//
// Owns the making of the namespaces and the terminal's return. All the rest is init's.
#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "local/init.h"
#include "local/report.h"
#include "local/sealed.h"

namespace {

constexpr int kRoot = 3;
constexpr int kChannel = 4;

[[noreturn]] void Fail(const char* what, int err) {
  local::Report report(kChannel);
  report.Add(local::Kind::kFailed, static_cast<uint32_t>(err), what);
  report.Finish();
  _exit(1);
}

// What the terminal or a person sends is for the command; the tool passes it on. Ended is this
// process by init's end alone.
void LeaveSignalsToTheTool() {
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) signal(number, SIG_IGN);
}

// A shell gives the terminal back to the group that it came from, which has no number for it.
void TakeTerminalBack(int terminal, pid_t before) {
  if (terminal < 0 || before != getpgrp() || tcgetpgrp(terminal) == before) return;
  signal(SIGTTOU, SIG_IGN);
  tcsetpgrp(terminal, before);
}

}  // namespace

int main(int, char** argv) {
  // Whatever else the server's processes left open would be a way out of the root: Node closes what
  // it inherited only up to the first number above 15 that is free.
  if (close_range(kChannel + 1, ~0U, 0) != 0) Fail("close what was left open", errno);
  int err = local::RunSealed(argv);
  if (err != 0) Fail("copy itself into memory", err);
  fcntl(kChannel, F_SETFD, FD_CLOEXEC);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (fchdir(kRoot) != 0) Fail("enter the root", errno);
  close(kRoot);
  const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  const pid_t before = terminal < 0 ? -1 : tcgetpgrp(terminal);

  // As fork(2) with new namespaces; the network stays the server's.
  constexpr unsigned long kNew = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
  const long init = syscall(SYS_clone, kNew | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (init < 0) Fail("make namespaces", errno);
  if (init == 0) local::RunInit(kChannel, argv + 1);
  LeaveSignalsToTheTool();
  close(kChannel);
  int status = 0;
  while (waitpid(static_cast<pid_t>(init), &status, 0) < 0 && errno == EINTR) continue;
  TakeTerminalBack(terminal, before);
  return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}
