#include "system/system_binding.h"

void InitSystem(Napi::Env, Napi::Object) {}
