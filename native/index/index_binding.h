// JavaScript's way to the handle index. Owns nothing.
#pragma once
#include <napi.h>

void InitIndex(Napi::Env env, Napi::Object exports);
