#include "archive/archive_binding.h"

void InitArchive(Napi::Env, Napi::Object) {}
