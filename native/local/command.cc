#include "local/command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "local/world.h"

namespace local {

namespace {

bool IsProgram(const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) != 0 || access(path.c_str(), X_OK) != 0) return false;
  if (S_ISREG(st.st_mode)) return true;
  errno = EACCES;
  return false;
}

// As execvp(3) searches.
std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return IsProgram(name) ? name : std::string();
  const char* path = getenv("PATH");
  for (const char* from = path == nullptr ? "" : path; *from != 0;) {
    const char* to = strchrnul(from, ':');
    const std::string file = std::string(from, to) + "/" + name;
    if (IsProgram(file)) return file;
    from = *to == 0 ? to : to + 1;
  }
  errno = ENOENT;
  return {};
}

void ResetSignals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // Node ignores some; a program expects what a login gives it.
  for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
}

[[noreturn]] void Become(const Command& command, int tell) {
  std::vector<char*> words;
  for (const std::string& word : command.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ResetSignals();
  if (DropCapabilities().empty()) execvp(command.file.c_str(), words.data());
  const int err = errno;
  if (write(tell, &err, sizeof err) < 0) _exit(126);
  _exit(127);
}

}  // namespace

Command ChooseCommand(char* const* given) {
  std::vector<std::string> words;
  for (; *given != nullptr; given++) words.emplace_back(*given);
  if (!words.empty()) return {words, FindProgram(words[0]), false};
  if (IsProgram("/chroot")) return {{"/chroot"}, "/chroot", true};
  if (IsProgram("/bin/bash")) return {{"/bin/bash", "-l"}, "/bin/bash", false};
  return {{"/bin/sh"}, FindProgram("/bin/sh"), false};
}

int StartCommand(const Command& command, pid_t* pid) {
  int told[2];
  if (pipe2(told, O_CLOEXEC) != 0) return errno;
  *pid = fork();
  if (*pid < 0) return errno;
  if (*pid == 0) Become(command, told[1]);
  close(told[1]);
  int err = 0;
  // Closed by a successful exec.
  const ssize_t got = read(told[0], &err, sizeof err);
  close(told[0]);
  if (got <= 0) return 0;
  waitpid(*pid, nullptr, 0);
  return err;
}

}  // namespace local
