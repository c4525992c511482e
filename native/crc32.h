// The usual zlib CRC-32, which the kernel's NFS server shows instead of a file handle
// (knfsd_fh_hash(), Linux 4.15). Owns only the computation.
#pragma once
#include <cstddef>
#include <cstdint>

// Goes on from `crc`; 0 begins.
uint32_t Crc32(uint32_t crc, const void* data, size_t size);
