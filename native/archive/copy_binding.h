// The JavaScript face of file_copy.h. Owns the worker.
#pragma once
#include <napi.h>

Napi::Function DefineCopyPlanned(Napi::Env env);
