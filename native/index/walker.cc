#include "index/walker.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "index/beneath.h"

namespace {

constexpr size_t kDirentBytes = 256 * 1024;
// Descriptors held at once; deeper trees close the upper ones and come back by "..".
constexpr size_t kMaxOpen = 64;
// How often a name that keeps changing under the walk is looked at again.
constexpr int kMaxAttempts = 3;

struct linux_dirent64 {
  uint64_t d_ino;
  int64_t d_off;
  uint16_t d_reclen;
  uint8_t d_type;
  char d_name[];
};

// Without O_NOATIME (owner or CAP_FOWNER only) the walk would change the tree's access times.
int OpenDirectory(int dir, const char* name) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat(dir, name, kFlags | O_NOATIME);
  return fd < 0 && errno == EPERM ? openat(dir, name, kFlags) : fd;
}

Kind KindByStat(int dir, const char* name) {
  struct stat status;
  if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return Kind::kUnknown;
  return S_ISDIR(status.st_mode) ? Kind::kDirectory : Kind::kOther;
}

}  // namespace

Walker::Walker(int handle_flags, std::function<bool(HandleView)> descend,
               const std::atomic<bool>* cancelled)
    : handle_flags_(handle_flags), descend_(std::move(descend)), cancelled_(cancelled) {}

Walker::~Walker() {
  for (const Frame& frame : frames_)
    if (frame.fd >= 0) close(frame.fd);
}

int Walker::Run(int fd, ScanLog* log, ScanCounts* counts) {
  int error = Begin(fd, log, counts);
  if (error != 0) return error;
  List(fd, 0);
  Rest();
  return 0;
}

int Walker::RunNames(int fd, const std::vector<std::string>& names, ScanLog* log,
                     ScanCounts* counts) {
  int error = Begin(fd, log, counts);
  if (error != 0) return error;
  // No Begin(): that is for a whole listing, and goes through all names that the directory has.
  for (const std::string& name : names) {
    uint32_t vanished = counts_->vanished;
    Entry(fd, name.c_str(), DT_UNKNOWN, 0, 0);
    if (counts_->vanished != vanished) log_->Vanished(0, name);
  }
  log_->End(false);
  Rest();
  return 0;
}

int Walker::Begin(int fd, ScanLog* log, ScanCounts* counts) {
  log_ = log;
  counts_ = counts;
  if (!reader_.Read(fd, "", handle_flags_ | AT_EMPTY_PATH)) {
    int error = errno;
    close(fd);
    return error;
  }
  mount_id_ = reader_.MountId();
  frames_.push_back({fd, 0, 0, 0, HandleCopy(reader_.View())});
  open_from_ = 1;  // the first frame's descriptor is never given up
  return 0;
}

void Walker::Rest() {
  while (!frames_.empty() && !cancelled_->load(std::memory_order_relaxed)) {
    if (pending_.size() > frames_.back().first_pending)
      Descend();
    else
      Ascend();
  }
}

void Walker::List(int fd, uint32_t number) {
  buffer_.resize(kDirentBytes);
  log_->Begin(number);
  bool complete = true;
  for (;;) {
    long got = syscall(SYS_getdents64, fd, buffer_.data(), buffer_.size());
    if (got == 0) break;
    if (got < 0 || cancelled_->load(std::memory_order_relaxed)) {
      // A deleted directory answers ENOENT: there is nothing in it any more.
      complete = got < 0 && errno == ENOENT;
      break;
    }
    for (long at = 0; at < got;) {
      auto* entry = reinterpret_cast<const linux_dirent64*>(buffer_.data() + at);
      at += entry->d_reclen;
      const char* name = entry->d_name;
      if (name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0))) continue;
      if (!Entry(fd, name, entry->d_type, number, 0)) complete = false;
    }
  }
  log_->End(complete);
  if (complete)
    counts_->directories++;
  else
    counts_->unreadable++;
}

// False: the entry is there but cannot be known.
bool Walker::Entry(int fd, const char* name, unsigned char type, uint32_t parent, int attempt) {
  if (!reader_.Read(fd, name, handle_flags_)) {
    if (errno == ENOENT) {
      counts_->vanished++;
      return true;
    }
    if (errno == EOPNOTSUPP) {
      counts_->other_file_systems++;
      return true;
    }
    return false;
  }
  if (reader_.MountId() != mount_id_) {
    counts_->other_file_systems++;
    return true;
  }
  Kind kind = type == DT_DIR ? Kind::kDirectory : Kind::kOther;
  if (type == DT_UNKNOWN) kind = KindByStat(fd, name);
  log_->Entry(kind, name, reader_.View());
  if (kind != Kind::kDirectory) return true;
  uint32_t number = next_number_++;
  if (!descend_(reader_.View())) return true;
  pending_.push_back({number, parent, attempt, names_.size(), HandleCopy(reader_.View())});
  names_.append(name).push_back('\0');
  return true;
}

// Opens the newest pending sub-directory and lists it. Its name stays on the stack with its frame.
void Walker::Descend() {
  Pending pending = std::move(pending_.back());
  pending_.pop_back();
  Frame& parent = frames_.back();
  if (parent.fd < 0) {
    // Moved away with everything in it: not listed, but not known to be gone either.
    names_.resize(pending.name);
    counts_->vanished++;
    return;
  }
  const char* name = names_.data() + pending.name;
  int fd = OpenDirectory(parent.fd, name);
  int error = errno;
  if (fd >= 0 && reader_.Read(fd, "", handle_flags_ | AT_EMPTY_PATH) &&
      reader_.View() == pending.handle.View() && reader_.MountId() == mount_id_) {
    frames_.push_back(
        {fd, pending.number, pending_.size(), pending.name, std::move(pending.handle)});
    SaveDescriptors();
    List(fd, pending.number);
    return;
  }
  if (fd >= 0) {
    close(fd);
    error = ESTALE;
  }
  std::string copy(name);
  names_.resize(pending.name);
  if (error != ENOENT && error != ENOTDIR && error != ELOOP && error != ESTALE) {
    counts_->unreadable++;
    return;
  }
  counts_->vanished++;
  log_->Vanished(pending.parent, copy);
  if (pending.attempt >= kMaxAttempts) return;
  log_->Begin(pending.parent);
  Entry(parent.fd, copy.c_str(), DT_UNKNOWN, pending.parent, pending.attempt + 1);
  log_->End(false);
}

// The top directory is done: back to the one above it, whose descriptor may have been given up.
void Walker::Ascend() {
  Frame done = std::move(frames_.back());
  frames_.pop_back();
  if (frames_.empty()) {
    close(done.fd);
    return;
  }
  names_.resize(done.name);
  Frame& parent = frames_.back();
  if (parent.fd < 0) {
    if (done.fd >= 0) parent.fd = OpenDirectory(done.fd, "..");
    if (parent.fd < 0 || !IsFrame(parent.fd, parent)) {
      if (parent.fd >= 0) close(parent.fd);
      parent.fd = Reopen();
    }
    open_from_ = std::max<size_t>(1, std::min(open_from_, frames_.size() - 1));
  }
  if (done.fd >= 0) close(done.fd);
}

bool Walker::IsFrame(int fd, const Frame& frame) {
  return reader_.Read(fd, "", handle_flags_ | AT_EMPTY_PATH) &&
         reader_.View() == frame.handle.View() && reader_.MountId() == mount_id_;
}

// The directory of the top frame by its names from the start, or -1 if it is not there any more
// (what is pending in it then counts as vanished).
int Walker::Reopen() {
  std::string path;
  for (size_t i = 1; i < frames_.size(); i++) {
    if (i > 1) path.push_back('/');
    path.append(names_.data() + frames_[i].name);
  }
  int fd = OpenBeneath(frames_[0].fd, path, O_RDONLY | O_DIRECTORY);
  if (fd < 0 || IsFrame(fd, frames_.back())) return fd;
  close(fd);
  return -1;
}

void Walker::SaveDescriptors() {
  while (frames_.size() - open_from_ > kMaxOpen) {
    Frame& frame = frames_[open_from_++];
    if (frame.fd >= 0) close(frame.fd);
    frame.fd = -1;
  }
}
