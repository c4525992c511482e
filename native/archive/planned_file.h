// One file of a plan: opened safely, and compared with what the plan saw before its first byte is
// read and after its last. Owns the words for what is different. Must not know where data goes.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

class RootTree;

// One regular file whose data goes into the archive, as it was when the archive was planned.
struct ArchiveFile {
  size_t after;       // bytes of `head` that come before this file's data
  size_t name_start;  // its path lies inside `names`
  size_t name_length;
  uint64_t size;
  // Numbers of the planned file as doubles, so that they compare the way they came.
  double dev, ino, mtime_sec, mtime_nsec, ctime_sec, ctime_nsec;
};

enum class ArchiveFailure { kNone, kDrift, kRead, kWrite, kAborted };

struct ArchiveTrouble {
  ArchiveFailure failure = ArchiveFailure::kNone;
  int err = 0;
  const char* syscall = "";
  std::string subject;  // the path inside the root; empty for the output
  std::string detail;   // drift: what is different now

  void Set(ArchiveFailure what, int error, const char* call, std::string path = {},
           std::string difference = {});
  // A failed read of `path`; false, for the caller to return.
  bool SetRead(int error, const char* call, const std::string& path);
};

// Opens `path` if it is still the planned file; -1 with the trouble set.
int OpenPlanned(RootTree* tree, const std::string& path, const ArchiveFile& file,
                ArchiveTrouble* trouble);

// Whether the open file is still the planned one: what was written into it meanwhile shows here.
bool CheckPlanned(int fd, const std::string& path, const ArchiveFile& file,
                  ArchiveTrouble* trouble);

// Exactly `length` bytes from `offset`; false with the trouble set.
bool ReadPlanned(int fd, const std::string& path, char* to, size_t length, uint64_t offset,
                 ArchiveTrouble* trouble);
