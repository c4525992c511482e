// Raw tracepoint records for JavaScript: to record fixtures, to look at a kernel, to prove the
// rings.
#pragma once
#include <napi.h>

#include <functional>

#include "nfsd/trace_format.h"

void InitTracepoints(Napi::Env env, Napi::Object exports);

// Records one after the other as TracepointReader.read() packs them: u32 size of the raw data, u32
// CPU, u64 time (ns), the raw data. Little-endian. Stops at a record that does not fit. Returns the
// time of the last one.
uint64_t ForEachPacked(const uint8_t* data, size_t size,
                       const std::function<void(const RawRecord&, int cpu)>& handler);
