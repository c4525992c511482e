#pragma once
#include <napi.h>

void InitIndex(Napi::Env env, Napi::Object exports);
