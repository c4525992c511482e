#pragma once
#include <napi.h>

void InitNfsd(Napi::Env env, Napi::Object exports);
