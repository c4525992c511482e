#include "fanotify/event_info.h"

#include <sys/fanotify.h>

#include <cstring>

namespace fan {

namespace {

constexpr size_t kHeaderSize = 4;                     // info_type u8, pad u8, len u16
constexpr size_t kFidSize = kHeaderSize + 8 + 4 + 4;  // + fsid, handle_bytes, handle_type

// Reads fsid and handle of one record; *after is where a name may follow.
bool ParseFid(const uint8_t* record, size_t size, EventInfo* out, HandleView* handle,
              const uint8_t** after) {
  if (size < kFidSize) return false;
  uint32_t handle_bytes;
  int32_t handle_type;
  memcpy(&handle_bytes, record + 12, sizeof handle_bytes);
  memcpy(&handle_type, record + 16, sizeof handle_type);
  // MAX_HANDLE_SZ is 128 in every kernel; the batch rows give the length one byte.
  if (handle_bytes > 128 || handle_bytes > size - kFidSize) return false;
  out->fsid = record + kHeaderSize;
  *after = record + kFidSize + handle_bytes;
  if (handle_bytes == 0) return true;
  handle->type = handle_type;
  handle->size = handle_bytes;
  handle->data = record + kFidSize;
  return true;
}

}  // namespace

bool ParseEventInfo(const uint8_t* data, size_t size, EventInfo* out) {
  while (size > 0) {
    if (size < kHeaderSize) return false;
    uint16_t length;
    memcpy(&length, data + 2, sizeof length);
    if (length < kHeaderSize || length > size) return false;
    const uint8_t* after = nullptr;
    switch (data[0]) {
      case FAN_EVENT_INFO_TYPE_FID:
        if (!ParseFid(data, length, out, &out->object, &after)) return false;
        break;
      case FAN_EVENT_INFO_TYPE_DFID:
        if (!ParseFid(data, length, out, &out->parent, &after)) return false;
        break;
      case FAN_EVENT_INFO_TYPE_DFID_NAME: {
        if (!ParseFid(data, length, out, &out->parent, &after)) return false;
        const size_t room = static_cast<size_t>(data + length - after);
        const void* nul = memchr(after, 0, room);
        if (nul == nullptr) return false;
        out->name_size = static_cast<uint32_t>(static_cast<const uint8_t*>(nul) - after);
        if (out->name_size > 0) out->name = after;
        break;
      }
      default:
        break;
    }
    data += length;
    size -= length;
  }
  if (!out->object && !out->parent) return false;
  // An event on a directory itself carries only its own handle with the name "." (6.18, measured).
  if (!out->object && out->name_size == 1 && out->name[0] == '.') out->object = out->parent;
  return true;
}

}  // namespace fan
