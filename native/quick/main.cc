// trace-quick: answers what need not wait for Node's start, and has Node do all the rest.
//
//     trace-quick NODE PROGRAM [ARGUMENT...]
//
// It knows the names in an ordinary image (`trace image list IMAGE`, `cpio-list IMAGE`). Whatever
// else is asked, or is found in the image, is PROGRAM's, run by NODE with the same arguments as if
// this had not been there: nothing was written, nothing was read that cannot be read again.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>

#include "quick/ordinary_image.h"

namespace {

// As src/common/errors.ts has them.
constexpr int kIo = 74;
constexpr int kConfig = 78;

bool EndsWith(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

// The image whose names are asked for, without anything else; null if it is something else.
const char* ImageToList(int count, char** words) {
  if (count < 4) return nullptr;
  const std::string_view program = words[2];
  const bool lists = count == 4   ? EndsWith(program, "/cpio-list.cjs")
                     : count == 6 ? EndsWith(program, "/bin.cjs") && !strcmp(words[3], "image") &&
                                        !strcmp(words[4], "list")
                                  : false;
  const char* image = words[count - 1];
  return lists && image[0] != '-' && image[0] != '\0' ? image : nullptr;
}

bool NamesOf(const char* path, std::string* lines) {
  // Opening what is no file may do something by itself.
  struct stat found;
  if (stat(path, &found) != 0 || !S_ISREG(found.st_mode)) return false;
  const int image = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (image < 0) return false;
  const bool ordinary = quick::NamesOf(image, lines);
  close(image);
  return ordinary;
}

// False if nothing could be written at all; the rest of the failures end here.
bool Write(const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t count = write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (count >= 0) {
      done += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      pollfd room{STDOUT_FILENO, POLLOUT, 0};
      poll(&room, 1, -1);
    } else if (errno == EPIPE) {
      // The reader has what it wanted.
      return true;
    } else if (errno != EINTR) {
      if (done == 0) return false;
      dprintf(STDERR_FILENO,
              "error: cannot write to standard output: %s\n"
              "hint: what came out is not the whole answer; ask again, and write it elsewhere\n",
              errno == ENOSPC ? "no space is left there" : strerror(errno));
      _exit(kIo);
    }
  }
  return true;
}

}  // namespace

int main(int count, char** words) {
  if (count < 3) {
    fputs("usage: trace-quick NODE PROGRAM [ARGUMENT...]\n", stderr);
    return 64;
  }
  const char* image = ImageToList(count, words);
  std::string lines;
  if (image != nullptr && NamesOf(image, &lines)) {
    // As Node does: a write that cannot be says so.
    struct sigaction ignored = {}, pipe, size;
    ignored.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignored, &pipe);
    sigaction(SIGXFSZ, &ignored, &size);
    if (Write(lines)) return 0;
    sigaction(SIGPIPE, &pipe, nullptr);
    sigaction(SIGXFSZ, &size, nullptr);
  }
  execvp(words[1], words + 1);
  fprintf(stderr,
          "error: cannot start %s: %s\nhint: in the repository scripts/build, elsewhere "
          "scripts/install again, puts it there\n",
          words[1], strerror(errno));
  return kConfig;
}
