// Safe, read-only access to one directory tree by relative byte paths.
// Owns the root's descriptor and a small stack of open directories on the way to the last path
// asked for. Nothing here ever follows a symbolic link or leaves the root's own mount, but for the
// mount points that it was told of: every directory is opened with
// openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV).
// Must not know archives, sessions or JavaScript. One thread at a time per object.
#pragma once
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

class RootTree {
 public:
  RootTree() = default;
  ~RootTree() { Close(); }
  RootTree(const RootTree&) = delete;
  RootTree& operator=(const RootTree&) = delete;

  // Opens `path` as the root (links in `path` itself are followed). False with errno;
  // ENOSYS when the kernel has no openat2 (before Linux 5.6).
  bool Open(const char* path);
  // What is mounted at this path below the root belongs to the tree, if something is. A mount
  // within another comes after it. False, with errno, only where that cannot be looked at.
  bool Enter(const std::string& path);
  // Takes a duplicate of another tree's root, so that each thread has its own directory stack.
  bool OpenSame(const RootTree& other);
  void Close();
  bool IsOpen() const { return root_ >= 0; }

  // Numbers of the mounts that the tree is read through, its own first, that no other mount of this
  // boot ever has. False, with errno, where the kernel has none (before Linux 6.8: EOPNOTSUPP).
  bool MountIds(std::vector<uint64_t>* ids) const;

  // Paths are followed by a NUL in memory, here and below, as that of a std::string is.

  // The open directory that holds the last component of `path`, and that component, a part of it.
  // Returns a descriptor that stays ours, or -1 with errno (EINVAL: not a plain relative path).
  // For the root itself, and the top of what is mounted in it, the name is "".
  int Parent(std::string_view path, const char** name);

  // statx(2) without following; false with errno.
  bool Stat(std::string_view path, struct statx* out);
  // Whether, as Stat has told, another file system is mounted at `path`, over what the root itself
  // has there.
  bool IsForeign(std::string_view path, const struct statx& st) const;

  // A directory opened for reading its names; -1 with errno.
  int OpenDirectory(std::string_view path);

  // A regular file opened for reading without disturbing it; -1 with errno (EINVAL: another type).
  int OpenFile(std::string_view path);

 private:
  struct Level {
    size_t length;  // bytes of current_ that name this directory
    int fd;
  };
  struct Entered {
    std::string path;
    int fd;
  };
  int root_ = -1;
  std::vector<Entered> entered_;
  std::string current_;
  std::vector<Level> levels_;
};

// True for a relative path of plain components: no NUL, no empty, `.` or `..` component.
// The empty path (the root) is plain too.
bool IsPlainPath(std::string_view path);

// A path for the calls on extended attributes of `name` in an open directory. They have no -at
// variant before Linux 6.13 and the f- ones refuse O_PATH, so it goes through our own descriptor:
// only the last component is looked up, and the l- ones do not follow it.
std::string WayTo(int directory, const char* name);

// Opens `name` in `directory` for reading; leaves the access time alone where the kernel lets us
// (O_NOATIME wants the owner or CAP_FOWNER), never waits for a fifo's writer, never follows a link.
int OpenQuietly(int directory, const char* name, int flags);
