#include "local/sealed.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace local {

namespace {

constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
// MFD_EXEC, linux/memfd.h since 6.3: asked for where executable is no longer what one gets.
constexpr unsigned int kExecutable = 0x10;

int MakeMemory() {
  constexpr unsigned int kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  const int fd = memfd_create("trace-world", kFlags | kExecutable);
  return fd >= 0 || errno != EINVAL ? fd : memfd_create("trace-world", kFlags);
}

bool CopyAll(int from, int to) {
  struct stat st;
  if (fstat(from, &st) != 0) return false;
  for (off_t done = 0; done < st.st_size;) {
    const ssize_t copied = sendfile(to, from, &done, static_cast<size_t>(st.st_size - done));
    if (copied < 0 && errno == EINTR) continue;
    if (copied == 0) errno = EIO;
    if (copied <= 0) return false;
  }
  return true;
}

}  // namespace

int RunSealed(char** argv) {
  const int own = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (own < 0) return errno;
  const int seals = fcntl(own, F_GET_SEALS);
  if (seals >= 0 && (seals & kSeals) == kSeals) {
    close(own);
    return 0;
  }
  const int copy = MakeMemory();
  if (copy < 0 || !CopyAll(own, copy) || fcntl(copy, F_ADD_SEALS, kSeals) != 0) return errno;
  fexecve(copy, argv, environ);
  return errno;
}

}  // namespace local
