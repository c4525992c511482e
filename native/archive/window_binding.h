// The JavaScript class `ArchiveWindow`: calls of archive_window.h on libuv's worker threads.
// Owns the archive's parts and a root tree to copy for each call, so that calls may overlap.
#pragma once
#include <napi.h>

Napi::Function DefineArchiveWindow(Napi::Env env);
