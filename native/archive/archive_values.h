// What the archive's JavaScript classes share: file records as numbers, and failures as errors.
// Owns nothing.
#pragma once
#include <napi.h>

#include <vector>

#include "archive/planned_file.h"

// Takes the records out of `numbers`; false with a JavaScript exception if one does not lie
// within `head_length` bytes.
bool TakeRecords(const Napi::Float64Array& numbers, size_t head_length,
                 std::vector<ArchiveFile>* files);

// An Error with `failure` and `detail` besides what every failed system call has.
Napi::Value TroubleError(Napi::Env env, const ArchiveTrouble& trouble);
