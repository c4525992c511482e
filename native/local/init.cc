#include "local/init.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "local/command.h"
#include "local/mounts.h"
#include "local/report.h"
#include "local/watcher.h"
#include "local/world.h"

namespace local {

namespace {

// Until the tool has read all. A signal that it passes on meanwhile would break a channel that is
// closed here, and what is unread there would be lost with it.
void CloseChannel(int channel) {
  shutdown(channel, SHUT_WR);
  uint8_t ignored[64];
  ssize_t got;
  do got = recv(channel, ignored, sizeof ignored, 0);
  while (got > 0 || (got < 0 && errno == EINTR));
}

[[noreturn]] void Fail(int channel, Report* report, const Failed& what, int err) {
  report->Add(Kind::kFailed, static_cast<uint32_t>(err), what);
  report->Finish();
  CloseChannel(channel);
  _exit(1);
}

int CatchChildren() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// Collects who has ended. True once the command is among them.
bool Reap(int children, pid_t command, int* status) {
  signalfd_siginfo ignored;
  while (read(children, &ignored, sizeof ignored) > 0) continue;
  bool ended = false;
  int one;
  for (pid_t pid; (pid = waitpid(-1, &one, WNOHANG)) > 0;) {
    if (pid != command) continue;
    *status = one;
    ended = true;
  }
  return ended;
}

void AwaitLeave(int channel) {
  uint8_t leave;
  ssize_t got;
  do got = recv(channel, &leave, 1, 0);
  while (got < 0 && errno == EINTR);
  if (got != 1) _exit(1);
}

void PassSignals(int channel, pid_t command) {
  uint8_t numbers[64];
  const ssize_t got = recv(channel, numbers, sizeof numbers, MSG_DONTWAIT);
  if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) _exit(1);
  for (ssize_t at = 0; at < got; at++) kill(command, numbers[at]);
}

// Until the command has ended; its wait status.
int Attend(int channel, pid_t command, int children, Watcher* watcher, Report* report) {
  int status = 0;
  while (!Reap(children, command, &status)) {
    const short room = report->pending() ? POLLOUT : 0;
    pollfd all[3] = {{watcher->fd(), POLLIN, 0},
                     {children, POLLIN, 0},
                     {channel, static_cast<short>(POLLIN | room), 0}};
    if (poll(all, 3, -1) < 0 && errno != EINTR) _exit(1);
    if ((all[2].revents & (POLLIN | POLLHUP | POLLERR)) != 0) PassSignals(channel, command);
    watcher->Drain();
    report->Send();
  }
  return status;
}

}  // namespace

void RunInit(int channel, char* const* command) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "trace-world");
  Report report(channel);
  const int children = CatchChildren();
  Failed failed = EnterRoot();
  if (!failed.empty()) Fail(channel, &report, failed, errno);
  const Command chosen = ChooseCommand(command);
  if (chosen.file.empty())
    Fail(channel, &report, "find " + chosen.words[0] + " in the root", errno);

  const int proc = OpenProc();
  std::vector<Mount> mounts;
  if (proc < 0) Fail(channel, &report, "read the mounts", errno);
  failed = LeaveProcs(proc, &mounts);
  if (!failed.empty()) Fail(channel, &report, failed, errno);
  Watcher watcher(proc, &report);
  if (!watcher.Start(mounts)) Fail(channel, &report, "watch the files of the root", errno);

  std::vector<std::string> missing;
  // A second sysfs cannot be mounted over the first (proc and devpts can), so /chroot has it to do.
  failed = MountUsual(!chosen.is_chroot, &missing);
  if (!failed.empty()) Fail(channel, &report, failed, errno);
  for (const std::string& path : missing) report.Add(Kind::kMissing, 0, path);

  report.Add(Kind::kReady, 0, chosen.file);
  report.Finish();
  AwaitLeave(channel);
  pid_t pid;
  const int err = StartCommand(chosen, &pid);
  if (err != 0) Fail(channel, &report, "run " + chosen.file, err);
  // Only the command has the tool's own input and output.
  for (int fd = 0; fd <= 2; fd++) close(fd);

  const int status = Attend(channel, pid, children, &watcher, &report);
  kill(-1, SIGKILL);
  while (waitpid(-1, nullptr, 0) > 0 || errno == EINTR) continue;
  watcher.Drain();
  report.End(status);
  CloseChannel(channel);
  _exit(0);
}

}  // namespace local
