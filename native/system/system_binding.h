#pragma once
#include <napi.h>

void InitSystem(Napi::Env env, Napi::Object exports);
