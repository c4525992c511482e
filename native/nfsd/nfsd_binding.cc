#include "nfsd/nfsd_binding.h"

void InitNfsd(Napi::Env, Napi::Object) {}
