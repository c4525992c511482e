// Streams an archive into a descriptor: bytes that are ready, and files of a root between them.
// Owns the one output buffer. Must not know the archive's format: headers, names and paddings
// arrive ready-made; only the zero padding to 4 bytes after a file's data is added here.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

class RootTree;

// One regular file whose data goes into the archive, as it was when the archive was planned.
struct ArchiveFile {
  size_t after;       // bytes of `head` that come before this file's data
  size_t name_start;  // its path lies inside `head`
  size_t name_length;
  uint64_t size;
  // Numbers of the planned file as doubles, so that they compare the way they came.
  double dev, ino, mtime_sec, mtime_nsec, ctime_sec, ctime_nsec;
};

enum class ArchiveFailure { kNone, kDrift, kRead, kWrite, kAborted };

struct ArchiveJob {
  const char* head = nullptr;
  size_t head_length = 0;
  std::vector<ArchiveFile> files;
  int fd = -1;

  std::atomic<uint64_t> written{0};
  std::atomic<bool> abort{false};

  ArchiveFailure failure = ArchiveFailure::kNone;
  int err = 0;
  const char* syscall = "";
  std::string subject;  // the path inside the root; empty for the output
  std::string detail;   // drift: what is different now
};

// Runs to the end or to the first failure, which is left in the job. Called on a worker thread;
// `written` and `abort` may be used from others.
void WriteArchive(RootTree* tree, ArchiveJob* job);
