// Opens things below a directory by path, never outside it, never through a symbolic link or onto
// another mount; and a private view of a tree without the mounts inside it.
// Owns nothing: descriptors go to the caller. Must not know the index.
#pragma once
#include <cstdint>
#include <string>

// `path` is relative to `root`, "" is `root` itself; it may be longer than PATH_MAX (a deep tree).
// `flags` as for open(2); access times are left alone where permitted. Returns a descriptor, or -1
// with errno.
int OpenBeneath(int root, const std::string& path, int flags);

// A detached copy of the mount at `dir`, from there down, with nothing mounted inside: what an NFS
// client sees of a directory that something is mounted on at the server is what lies below the
// mount. Needs CAP_SYS_ADMIN (or -1 with errno). Held open it keeps the file system busy, as `dir`
// does.
int OpenWithoutMounts(int dir);

// How many mounts this process sees below the directory `path` (absolute); 0 if it cannot be told.
uint32_t CountMountsBelow(const std::string& path);
