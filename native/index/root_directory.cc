#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index/beneath.h"
#include "index/handle_index.h"

RootDirectory::~RootDirectory() {
  if (fd_ >= 0) close(fd_);
}

int RootDirectory::Open(const std::string& path, const char** failed) {
  fd_ = open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd_ < 0) {
    *failed = "open";
    return errno;
  }
  char link[64];
  char target[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd_);
  ssize_t length = readlink(link, target, sizeof target);
  if (length > 0) resolved_.assign(target, static_cast<size_t>(length));

  // Without the capability the walk stops at each mount instead, and what lies below it stays
  // unknown.
  int bare = OpenWithoutMounts(fd_);
  without_mounts_ = bare >= 0;
  if (without_mounts_) {
    close(fd_);
    fd_ = bare;
  }
  // What no walk could list is refused here, where somebody waits for the answer.
  int listed = OpenBeneath(fd_, "", O_RDONLY | O_DIRECTORY);
  if (listed < 0) {
    *failed = "open";
    return errno;
  }
  close(listed);
  HandleReader reader;
  if (reader.Read(fd_, "", AT_EMPTY_PATH)) return 0;
  handle_flags_ = AT_HANDLE_FID;
  if (errno == EOPNOTSUPP && reader.Read(fd_, "", AT_EMPTY_PATH | handle_flags_)) return 0;
  *failed = "name_to_handle_at";
  // Kernels before 6.5 refuse the flag.
  return errno == EINVAL ? EOPNOTSUPP : errno;
}

bool RootDirectory::Deleted() const {
  struct stat status;
  if (told_) return false;
  return fstat(fd_, &status) != 0 || status.st_nlink == 0;
}

uint32_t RootDirectory::OtherMounts() const {
  return without_mounts_ && !resolved_.empty() ? CountMountsBelow(resolved_) : 0;
}

int RootDirectory::Walk(ScanLog* log, ScanCounts* counts,
                        const std::atomic<bool>* cancelled) const {
  if (told_) return 0;
  int fd = OpenBeneath(fd_, "", O_RDONLY | O_DIRECTORY);
  if (fd < 0) return errno;
  Walker walker(
      handle_flags_, [](HandleView) { return true; }, cancelled);
  int error = walker.Run(fd, log, counts);
  counts->other_file_systems += OtherMounts();
  return error;
}
