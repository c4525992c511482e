// The addon's single entry: each room registers its own face.
// Owns nothing. Must not know what any room does.
#include <napi.h>

#include "archive/archive_binding.h"
#include "fanotify/fanotify_binding.h"
#include "index/index_binding.h"
#include "nfsd/nfsd_binding.h"
#include "system/system_binding.h"

static Napi::Object Init(Napi::Env env, Napi::Object exports) {
  InitFanotify(env, exports);
  InitNfsd(env, exports);
  InitIndex(env, exports);
  InitArchive(env, exports);
  InitSystem(env, exports);
  return exports;
}

NODE_API_MODULE(NODE_GYP_MODULE_NAME, Init)
