// What the archive's JavaScript classes share: file records as numbers, and failures as errors.
// Owns nothing.
#pragma once
#include <napi.h>

#include <vector>

#include "archive/planned_file.h"

struct ArchiveLengths {
  size_t head;
  size_t names;
};

// Takes the records out of `numbers`; false with a JavaScript exception if one does not lie
// within that many bytes.
bool TakeRecords(const Napi::Float64Array& numbers, ArchiveLengths lengths,
                 std::vector<ArchiveFile>* files);

// An Error with `failure` and `detail` besides what every failed system call has.
Napi::Value TroubleError(Napi::Env env, const ArchiveTrouble& trouble);
