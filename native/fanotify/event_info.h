// Reads the information records behind one fanotify event (fanotify(7), FAN_REPORT_FID family).
// Pure: owns no state. Must not know threads, tables or JavaScript.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fan {

// A file handle inside an event's bytes; `size` 0 with `data` null means that there was none.
struct HandleView {
  int32_t type = 0;
  uint32_t size = 0;
  const uint8_t* data = nullptr;
  explicit operator bool() const { return data != nullptr; }
};

// One event's identity, as views into the bytes it was read from.
struct EventInfo {
  const uint8_t* fsid = nullptr;  // 8 bytes
  HandleView object;
  HandleView parent;
  const uint8_t* name = nullptr;  // without the terminating NUL
  uint32_t name_size = 0;
};

// Parses the records in [data, data + size). False if a length field does not fit, or if the
// event names nothing at all (the kernel could not encode a handle). Unknown record types are
// skipped by their length, so a newer kernel's extra records do no harm.
bool ParseEventInfo(const uint8_t* data, size_t size, EventInfo* out);

}  // namespace fan
