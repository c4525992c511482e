// Lists a directory tree with handles, on one file system, without recursion and with a bounded
// number of descriptors. Owns the descriptors that it opens, for the time of one Run().
// Must not know the index: what it sees goes into a ScanLog.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "index/handle.h"
#include "index/scan_log.h"

struct ScanCounts {
  uint32_t directories = 0;         // listed
  uint32_t unreadable = 0;          // directories that could not be opened or read to the end
  uint32_t vanished = 0;            // names or directories that went away between two system calls
  uint32_t other_file_systems = 0;  // entries on another mount: neither recorded nor entered
};

class Walker {
 public:
  // `handle_flags` for name_to_handle_at. `descend` says whether to list a sub-directory (called
  // on the thread that calls Run). `cancelled` ends the walk early.
  Walker(int handle_flags, std::function<bool(HandleView)> descend,
         const std::atomic<bool>* cancelled);
  ~Walker();
  Walker(const Walker&) = delete;
  Walker& operator=(const Walker&) = delete;

  // Lists the directory open (for reading) as `fd`, and below it. Takes `fd`. Returns 0, or the
  // errno that kept it from reading the handle of `fd` itself; every other failure is counted.
  int Run(int fd, ScanLog* log, ScanCounts* counts);
  // The same, but of the directory itself only these names are looked at.
  int RunNames(int fd, const std::vector<std::string>& names, ScanLog* log, ScanCounts* counts);

 private:
  // A directory being walked; its pending sub-directories are pending_[first_pending..].
  struct Frame {
    int fd;  // -1: given up to save descriptors, or not there any more
    uint32_t number;
    size_t first_pending;
    size_t name;  // offset in names_; none for the first frame
    HandleCopy handle;
  };
  struct Pending {
    uint32_t number;
    uint32_t parent;  // number
    int attempt;
    size_t name;  // offset in names_
    HandleCopy handle;
  };

  int Begin(int fd, ScanLog* log, ScanCounts* counts);
  void Rest();
  void List(int fd, uint32_t number);
  bool Entry(int fd, const char* name, unsigned char type, uint32_t parent, int attempt);
  void Descend();
  void Ascend();
  bool IsFrame(int fd, const Frame& frame);
  int Reopen();
  void SaveDescriptors();

  const int handle_flags_;
  const std::function<bool(HandleView)> descend_;
  const std::atomic<bool>* const cancelled_;
  std::vector<uint8_t> buffer_;
  std::vector<Frame> frames_;
  std::vector<Pending> pending_;
  std::string names_;  // NUL-terminated names of frames_ and pending_, as a stack
  HandleReader reader_;
  ScanLog* log_ = nullptr;
  ScanCounts* counts_ = nullptr;
  uint32_t next_number_ = 1;
  int mount_id_ = -1;
  size_t open_from_ = 0;  // frames 1 to here have given up their descriptors
};
