#include "index/index_binding.h"

void InitIndex(Napi::Env, Napi::Object) {}
