// Writes a drained table as one flat buffer. Pure; the layout's other half is
// src/fanotify-ts/decode-rows.ts. Must not know threads or JavaScript.
//
// Little-endian. Rows in order of first sight, each padded to 4 bytes:
//   0 u32 mask           4 u32 count         8 u8 pid class     9 u8 flags
//  10 u8 object size    11 u8 parent size   12 i32 object type  16 i32 parent type
//  20 u16 name size     22 u16 0            24 fsid (8)         32 object, parent, name
#pragma once
#include <cstddef>
#include <cstdint>

#include "fanotify/event_table.h"

namespace fan {

enum RowFlag : uint8_t {
  kHasObject = 1,
  kHasParent = 2,
  kHasName = 4,
  kObjectIsParent = 8,  // then the object's bytes are not repeated
};

// An upper bound of what EncodeRows writes.
size_t EncodedBound(const EventTable& table);

// Returns the number of bytes written; `out` has room for EncodedBound.
size_t EncodeRows(const EventTable& table, uint8_t* out);

}  // namespace fan
