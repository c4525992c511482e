// Random access to an archive that is not written anywhere: any stretch of its bytes, made from
// the ready bytes and the root's files between them. Owns nothing that lasts between calls.
// Must not know the archive's format but for the zero padding to 4 bytes after a file's data.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "archive/planned_file.h"

struct ArchiveParts {
  const char* head = nullptr;
  size_t head_length = 0;
  const char* names = nullptr;
  std::vector<ArchiveFile> files;
  std::vector<uint64_t> starts;  // where each file's data starts in the archive

  // Once `head` and `files` are there: fills `starts` and gives the archive's length.
  uint64_t Place();
};

// Fills `to` with `length` bytes of the archive from `from`. Each file in it is compared with the
// plan before and after. False with the trouble set; `to` then holds rubbish.
bool ReadWindow(RootTree* tree, const ArchiveParts& parts, uint64_t from, char* to, size_t length,
                ArchiveTrouble* trouble);

// The sum of each file's bytes, modulo 2^32, as the checksum variant of newc wants it.
bool SumFiles(RootTree* tree, const ArchiveParts& parts, std::vector<uint32_t>* sums,
              ArchiveTrouble* trouble);
