// Streams an archive into a descriptor: bytes that are ready, and files of a root between them.
// Owns the one output buffer. Must not know the archive's format: headers, names and paddings
// arrive ready-made; only the zero padding to 4 bytes after a file's data is added here. Large
// files whose data begins at a block of the output share their blocks with it where the file system
// can; the bytes are the same.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "archive/planned_file.h"

class RootTree;

struct ArchiveJob : ArchiveTrouble {
  const char* head = nullptr;
  size_t head_length = 0;
  const char* names = nullptr;
  std::vector<ArchiveFile> files;
  // What follows all of these: the first bytes of an open file, as they are; none if it is -1.
  int tail = -1;
  uint64_t tail_length = 0;
  int fd = -1;

  std::atomic<uint64_t> written{0};
  std::atomic<bool> abort{false};
};

// Runs to the end or to the first failure, which is left in the job. Called on a worker thread;
// `written` and `abort` may be used from others.
void WriteArchive(RootTree* tree, ArchiveJob* job);
