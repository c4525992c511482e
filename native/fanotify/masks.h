// The event bits this recorder asks for. Owns the choice; nothing else.
#pragma once
#include <sys/fanotify.h>

#include <cstdint>

namespace fan {

// Reads and changes of content and attributes: of interest only from the classes kept.
constexpr uint64_t kAccessMask = FAN_ACCESS | FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB;
// Changes of names: whoever keeps an index of the tree needs all of them.
constexpr uint64_t kNameMask = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO;
// Every bit here is accepted together with FAN_REPORT_FID on a file-system mark since 5.1.
// FAN_DELETE_SELF is left out: a handle carries the inode's generation, so a deleted file's
// handle never comes back as another file's, and FAN_DELETE already tells of the name.
// FAN_CLOSE_NOWRITE is left out: from an NFS server's file cache it comes late, from a kworker.
constexpr uint64_t kWatchMask = kAccessMask | kNameMask | FAN_ONDIR;

}  // namespace fan
