// The NFS side's face towards JavaScript; src/capture/nfsd-binding.ts declares the same.
#pragma once
#include <napi.h>

void InitNfsd(Napi::Env env, Napi::Object exports);
