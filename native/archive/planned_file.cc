// See planned_file.h.
#include "archive/planned_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "archive/root_tree.h"

namespace {

const char* Difference(const struct stat& st, const ArchiveFile& file) {
  if (!S_ISREG(st.st_mode)) return "is no longer a regular file";
  if (static_cast<double>(st.st_dev) != file.dev || static_cast<double>(st.st_ino) != file.ino)
    return "was replaced";
  if (static_cast<uint64_t>(st.st_size) != file.size) return "changed its size";
  if (static_cast<double>(st.st_mtim.tv_sec) != file.mtime_sec ||
      static_cast<double>(st.st_mtim.tv_nsec) != file.mtime_nsec)
    return "was written to";
  if (static_cast<double>(st.st_ctim.tv_sec) != file.ctime_sec ||
      static_cast<double>(st.st_ctim.tv_nsec) != file.ctime_nsec)
    return "changed its metadata";
  return nullptr;
}

}  // namespace

void ArchiveTrouble::Set(ArchiveFailure what, int error, const char* call, std::string path,
                         std::string difference) {
  failure = what;
  err = error;
  syscall = call;
  subject = std::move(path);
  detail = std::move(difference);
}

bool ArchiveTrouble::SetRead(int error, const char* call, const std::string& path) {
  // A path that stopped leading to a file is the tree's change, not a failed read.
  const bool gone = error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV;
  Set(gone ? ArchiveFailure::kDrift : ArchiveFailure::kRead, error, call, path,
      gone ? "is no longer there" : "");
  return false;
}

int OpenPlanned(RootTree* tree, const std::string& path, const ArchiveFile& file,
                ArchiveTrouble* trouble) {
  const char* name;
  const int parent = tree->Parent(path, &name);
  struct stat st;
  int fd = -1;
  if (parent < 0) {
    trouble->SetRead(errno, "openat2", path);
  } else if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
    trouble->SetRead(errno, "fstatat", path);
  } else if (const char* const what = Difference(st, file)) {
    trouble->Set(ArchiveFailure::kDrift, 0, "fstatat", path, what);
  } else {
    fd = OpenQuietly(parent, name, 0);
    if (fd < 0) trouble->SetRead(errno, "openat", path);
  }
  return fd;
}

bool CheckPlanned(int fd, const std::string& path, const ArchiveFile& file,
                  ArchiveTrouble* trouble) {
  struct stat st;
  if (fstat(fd, &st) != 0) {
    trouble->Set(ArchiveFailure::kRead, errno, "fstat", path);
    return false;
  }
  if (const char* const what = Difference(st, file)) {
    trouble->Set(ArchiveFailure::kDrift, 0, "fstat", path, what);
    return false;
  }
  return true;
}

bool ReadPlanned(int fd, const std::string& path, char* to, size_t length, uint64_t offset,
                 ArchiveTrouble* trouble) {
  while (length > 0) {
    const ssize_t count = pread(fd, to, length, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      trouble->Set(ArchiveFailure::kRead, errno, "read", path);
      return false;
    }
    if (count == 0) {
      trouble->Set(ArchiveFailure::kDrift, 0, "read", path, "became shorter while it was read");
      return false;
    }
    to += count;
    length -= static_cast<size_t>(count);
    offset += static_cast<uint64_t>(count);
  }
  return true;
}
