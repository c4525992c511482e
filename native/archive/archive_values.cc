// See archive_values.h.
#include "archive/archive_values.h"

#include <errno.h>

#include "error.h"

namespace {

// Numbers of one file record, in the order of struct ArchiveFile.
constexpr size_t kFields = 10;

const char* FailureName(ArchiveFailure failure) {
  switch (failure) {
    case ArchiveFailure::kDrift:
      return "drift";
    case ArchiveFailure::kRead:
      return "read";
    case ArchiveFailure::kWrite:
      return "write";
    case ArchiveFailure::kAborted:
      return "aborted";
    case ArchiveFailure::kNone:
      break;
  }
  return "";
}

}  // namespace

bool TakeRecords(const Napi::Float64Array& numbers, ArchiveLengths lengths,
                 std::vector<ArchiveFile>* files) {
  files->reserve(numbers.ElementLength() / kFields);
  size_t before = 0;
  for (size_t i = 0; i + kFields <= numbers.ElementLength(); i += kFields) {
    const double* const n = numbers.Data() + i;
    const ArchiveFile file = {static_cast<size_t>(n[0]),
                              static_cast<size_t>(n[1]),
                              static_cast<size_t>(n[2]),
                              static_cast<uint64_t>(n[3]),
                              n[4],
                              n[5],
                              n[6],
                              n[7],
                              n[8],
                              n[9]};
    if (file.after < before || file.after > lengths.head ||
        file.name_start + file.name_length > lengths.names) {
      SystemError(numbers.Env(), EINVAL, "archive record").ThrowAsJavaScriptException();
      return false;
    }
    before = file.after;
    files->push_back(file);
  }
  return true;
}

Napi::Value TroubleError(Napi::Env env, const ArchiveTrouble& trouble) {
  Napi::Object error = SystemError(env, trouble.err, trouble.syscall, trouble.subject).Value();
  error.Set("failure", FailureName(trouble.failure));
  error.Set("detail", trouble.detail);
  return error;
}
