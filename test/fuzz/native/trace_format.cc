// Fuzzes the reader of tracepoint format files, and the reading of fields by what it says.
// Input: the text, a NUL, the bytes of a record.
#include "nfsd/trace_format.h"

#include <algorithm>
#include <cstdlib>

namespace {

void Check(bool good) {
  if (!good) abort();
}

bool IsInside(std::string_view bytes, const RawRecord& record) {
  if (bytes.empty()) return true;
  const char* start = reinterpret_cast<const char*>(record.data);
  return bytes.data() >= start && bytes.data() + bytes.size() <= start + record.size;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string_view text = all.substr(0, all.find('\0'));
  const size_t behind = std::min(text.size() + 1, size);
  TraceFormat format;
  std::string line;
  if (!ParseTraceFormat(text, &format, &line)) return 0;
  Check(!format.event.empty() && !format.fields.empty());
  // Its own memory, so that a byte too many is seen.
  const std::vector<uint8_t> bytes(data + behind, data + size);
  const RawRecord record{0, bytes.data(), static_cast<uint32_t>(bytes.size())};
  for (const TraceField& field : format.fields) {
    const FieldRef ref = ResolveField(format, field.name);
    Check(ref.present);
    ref.Number(record);
    Check(IsInside(ref.Bytes(record), record));
    Check(IsInside(ref.Text(record), record));
  }
  return 0;
}
