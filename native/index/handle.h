// File handles: a view of their bytes, their own part, and the system call that reads them.
// Owns nothing; header only. Must not know about NFS.
#pragma once
#include <fcntl.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

#ifndef AT_HANDLE_FID
#define AT_HANDLE_FID 0x200
#endif

// Bytes that belong to someone else.
struct HandleView {
  uint8_t type = 0;
  uint8_t size = 0;
  const uint8_t* bytes = nullptr;

  bool operator==(const HandleView& other) const {
    return type == other.type && size == other.size && memcmp(bytes, other.bytes, size) == 0;
  }
};

// A handle may name the parent directory after the object (an export with subtree_check); the
// object is the same without it. Layouts: include/linux/exportfs.h, fs/btrfs/export.h.
inline HandleView OwnPart(HandleView handle) {
  switch (handle.type) {
    case 0x02:  // FILEID_INO32_GEN_PARENT: own part, then the parent's of the same length
      if (handle.size == 16 || handle.size == 24)
        return {0x01, static_cast<uint8_t>(handle.size / 2), handle.bytes};
      return handle;
    case 0x82:  // FILEID_INO64_GEN_PARENT, XFS
      return handle.size == 24 ? HandleView{0x81, 12, handle.bytes} : handle;
    case 0x4e:  // FILEID_BTRFS_WITH_PARENT
    case 0x4f:  // FILEID_BTRFS_WITH_PARENT_ROOT
      return handle.size >= 32 ? HandleView{0x4d, 20, handle.bytes} : handle;
    default:
      return handle;
  }
}

// The reverse: what the file system encodes when it is asked for a handle that names the parent
// too, as nfsd does with subtree_check for all but directories. Layouts as above; btrfs keeps the
// parent's number and generation only. False: this kind of handle has no such form (tmpfs).
inline bool WithParent(HandleView own, HandleView parent, uint8_t* room, HandleView* out) {
  constexpr uint8_t kBtrfs = 0x4d;
  if (own.type != parent.type || own.size != parent.size) return false;
  memcpy(room, own.bytes, own.size);
  if ((own.type == 0x01 && own.size == 8) || (own.type == 0x81 && own.size == 12)) {
    memcpy(room + own.size, parent.bytes, parent.size);
    *out = {static_cast<uint8_t>(own.type + 1), static_cast<uint8_t>(2 * own.size), room};
    return true;
  }
  if (own.type != kBtrfs || own.size != 20) return false;
  // u64 number, u64 tree, u32 generation | u64 number, u32 generation of the parent. One tree:
  // a hard link cannot lead into another subvolume.
  memcpy(room + 20, parent.bytes, 8);
  memcpy(room + 28, parent.bytes + 16, 4);
  *out = {0x4e, 32, room};
  return true;
}

// One name_to_handle_at(2) answer, with room for the longest handle.
class HandleReader {
 public:
  // `flags`: AT_EMPTY_PATH and what open() found to be needed. False: errno says why.
  bool Read(int dir, const char* name, int flags) {
    auto* header = reinterpret_cast<file_handle*>(raw_);
    header->handle_bytes = MAX_HANDLE_SZ;
    return name_to_handle_at(dir, name, header, &mount_id_, flags) == 0;
  }
  HandleView View() const {
    auto* header = reinterpret_cast<const file_handle*>(raw_);
    return {static_cast<uint8_t>(header->handle_type), static_cast<uint8_t>(header->handle_bytes),
            raw_ + sizeof(file_handle)};
  }
  int MountId() const { return mount_id_; }

 private:
  alignas(file_handle) uint8_t raw_[sizeof(file_handle) + MAX_HANDLE_SZ];
  int mount_id_ = -1;
};

// A handle that owns its bytes.
struct HandleCopy {
  HandleCopy() = default;
  explicit HandleCopy(HandleView view)
      : type(view.type), bytes(reinterpret_cast<const char*>(view.bytes), view.size) {}
  HandleView View() const {
    return {type, static_cast<uint8_t>(bytes.size()),
            reinterpret_cast<const uint8_t*>(bytes.data())};
  }
  uint8_t type = 0;
  std::string bytes;
};
