// The top-level directory of a btrfs, from any directory in it.
// A whole btrfs can only be marked through its top level (fanotify_mark gives EXDEV for a
// subvolume, 5.10 to 6.18), and all its events carry the top level's fsid; but what is mounted may
// be subvolumes only. So the top level is opened by its file handle, which needs neither a mount of
// it nor its device.
// Owns nothing: the descriptor goes to the caller. Must not know marks.
#pragma once

namespace fan {

// `fd`: any directory, open. A descriptor of the top level, open for reading; -1 if `fd` is on no
// btrfs, or with errno (needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH).
int OpenBtrfsTop(int fd);

}  // namespace fan
