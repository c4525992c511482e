// The kernel's description of one tracepoint record: a tracefs `format` file, parsed.
// Owns the reading of single fields out of a raw record, always within its bounds.
// Must not know which events exist or what their fields mean.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// How a field's bytes are reached: in place, or through a 32-bit `length << 16 | offset` word whose
// offset counts from the record's start (__data_loc) or from behind the word (__rel_loc, 5.18).
enum class FieldPlace : uint8_t { kInline, kDataLoc, kRelLoc };

struct TraceField {
  std::string name;
  uint32_t offset = 0;
  uint32_t size = 0;
  bool is_signed = false;
  FieldPlace place = FieldPlace::kInline;
};

struct TraceFormat {
  std::string event;
  uint32_t id = 0;
  std::vector<TraceField> fields;

  // nullptr when this kernel's event has no such field.
  const TraceField* Find(std::string_view name) const;
};

// Parses a whole `format` file. False, with the line that did not fit in `error`, when it is not
// one.
bool ParseTraceFormat(std::string_view text, TraceFormat* out, std::string* error);

// One raw record as the kernel wrote it, the common_* header included.
struct RawRecord {
  uint64_t time_ns;
  const uint8_t* data;
  uint32_t size;
};

// A field resolved once per event. Absent fields read as 0 and as no bytes, and so does whatever
// would lie outside of the record.
struct FieldRef {
  uint32_t offset = 0;
  uint32_t size = 0;
  FieldPlace place = FieldPlace::kInline;
  bool present = false;

  uint64_t Number(const RawRecord& record) const;
  std::string_view Bytes(const RawRecord& record) const;
  // Bytes up to the first NUL: how the kernel stores strings.
  std::string_view Text(const RawRecord& record) const;
};

FieldRef ResolveField(const TraceFormat& format, std::string_view name);
