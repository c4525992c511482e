#pragma once
#include <napi.h>

void InitArchive(Napi::Env env, Napi::Object exports);
