// The JavaScript face of a sum over an open file. Owns the worker.
#pragma once
#include <napi.h>

Napi::Function DefineSumFile(Napi::Env env);
