#include "fanotify/batch_encoder.h"

#include <cstring>

#include "fanotify/event_info.h"

namespace fan {

namespace {

constexpr size_t kRowHead = 32;

void Put32(uint8_t* out, uint32_t value) {
  for (int byte = 0; byte < 4; byte++) out[byte] = static_cast<uint8_t>(value >> (8 * byte));
}

uint8_t* PutBytes(uint8_t* out, const uint8_t* bytes, size_t size) {
  if (size > 0) memcpy(out, bytes, size);
  return out + size;
}

}  // namespace

size_t EncodedBound(const EventTable& table) {
  size_t bound = 0;
  // The information bytes hold everything that a row repeats, and more.
  table.ForEach([&bound](uint64_t, uint32_t, const uint8_t*, uint32_t size) {
    bound += kRowHead + size + 3;
  });
  return bound;
}

size_t EncodeRows(const EventTable& table, uint8_t* out) {
  uint8_t* const start = out;
  table.ForEach([&out](uint64_t tag, uint32_t count, const uint8_t* info, uint32_t size) {
    EventInfo event;
    if (!ParseEventInfo(info, size, &event)) return;  // the intake lets none of these in
    const bool same = event.object && event.object.data == event.parent.data;
    const HandleView object = same ? HandleView() : event.object;
    uint8_t flags = 0;
    if (object) flags |= kHasObject;
    if (event.parent) flags |= kHasParent;
    if (event.name != nullptr) flags |= kHasName;
    if (same) flags |= kObjectIsParent;
    Put32(out, static_cast<uint32_t>(tag));
    Put32(out + 4, count);
    out[8] = static_cast<uint8_t>(tag >> 32);
    out[9] = flags;
    out[10] = static_cast<uint8_t>(object.size);
    out[11] = static_cast<uint8_t>(event.parent.size);
    Put32(out + 12, static_cast<uint32_t>(object.type));
    Put32(out + 16, static_cast<uint32_t>(event.parent.type));
    Put32(out + 20, event.name_size);
    uint8_t* at = PutBytes(out + 24, event.fsid, 8);
    at = PutBytes(at, object.data, object.size);
    at = PutBytes(at, event.parent.data, event.parent.size);
    at = PutBytes(at, event.name, event.name_size);
    while ((at - out) % 4 != 0) *at++ = 0;
    out = at;
  });
  return static_cast<size_t>(out - start);
}

}  // namespace fan
