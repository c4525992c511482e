#include "fanotify/fanotify_binding.h"

void InitFanotify(Napi::Env, Napi::Object) {}
