// Registers the archive room's classes. Owns nothing.
#include "archive/archive_binding.h"

#include "archive/copy_binding.h"
#include "archive/sum_binding.h"
#include "archive/tree_binding.h"
#include "archive/window_binding.h"
#include "archive/writer_binding.h"

void InitArchive(Napi::Env env, Napi::Object exports) {
  exports.Set("RootTree", TreeBinding::Define(env));
  exports.Set("ArchiveJob", DefineArchiveJob(env));
  exports.Set("ArchiveWindow", DefineArchiveWindow(env));
  exports.Set("copyPlanned", DefineCopyPlanned(env));
  exports.Set("sumFile", DefineSumFile(env));
}
