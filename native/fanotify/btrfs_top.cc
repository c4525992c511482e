#include "fanotify/btrfs_top.h"

#include <endian.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace fan {

namespace {

// FILEID_BTRFS_WITHOUT_PARENT (fs/btrfs/export.h): number, tree, generation; packed.
constexpr int kHandleType = 0x4d;
constexpr unsigned int kHandleSize = 20;

// The generation of the top level's own inode, a part of its handle.
bool TopGeneration(int fd, uint64_t* generation) {
  struct btrfs_ioctl_search_args args;
  memset(&args, 0, sizeof args);
  args.key.tree_id = BTRFS_FS_TREE_OBJECTID;
  args.key.min_objectid = args.key.max_objectid = BTRFS_FIRST_FREE_OBJECTID;
  args.key.min_type = args.key.max_type = BTRFS_INODE_ITEM_KEY;
  args.key.max_offset = UINT64_MAX;
  args.key.max_transid = UINT64_MAX;
  args.key.nr_items = 1;
  if (ioctl(fd, BTRFS_IOC_TREE_SEARCH, &args) != 0) return false;
  struct btrfs_ioctl_search_header header;
  memcpy(&header, args.buf, sizeof header);
  if (args.key.nr_items != 1 || header.len < sizeof(struct btrfs_inode_item)) {
    errno = ENOENT;
    return false;
  }
  uint64_t little_endian;
  memcpy(&little_endian, args.buf + sizeof header + offsetof(struct btrfs_inode_item, generation),
         sizeof little_endian);
  *generation = le64toh(little_endian);
  return true;
}

}  // namespace

int OpenBtrfsTop(int fd) {
  struct statfs fs;
  uint64_t generation;
  if (fstatfs(fd, &fs) != 0 || fs.f_type != BTRFS_SUPER_MAGIC) return -1;
  if (!TopGeneration(fd, &generation)) return -1;
  alignas(struct file_handle) char space[sizeof(struct file_handle) + kHandleSize];
  struct file_handle* handle = reinterpret_cast<struct file_handle*>(space);
  const uint64_t number = BTRFS_FIRST_FREE_OBJECTID;
  const uint64_t tree = BTRFS_FS_TREE_OBJECTID;
  const uint32_t low = static_cast<uint32_t>(generation);
  handle->handle_type = kHandleType;
  handle->handle_bytes = kHandleSize;
  memcpy(handle->f_handle, &number, sizeof number);
  memcpy(handle->f_handle + 8, &tree, sizeof tree);
  memcpy(handle->f_handle + 16, &low, sizeof low);
  return open_by_handle_at(fd, handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
}

}  // namespace fan
