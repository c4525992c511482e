// The JavaScript class `ArchiveJob`: one run of archive_writer.h on a libuv worker thread.
// Owns the job's state and a root tree of its own. Must not open or close the output.
#pragma once
#include <napi.h>

Napi::Function DefineArchiveJob(Napi::Env env);
