#include "local/world.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace local {

namespace {

// The root of the mount namespace itself: whoever started this may live in a chroot, from which no
// root can be changed.
bool GoToNamespaceRoot() {
  const int self = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
  if (self < 0) return false;
  const bool ok = setns(self, CLONE_NEWNS) == 0;
  const int err = errno;
  close(self);
  errno = err;
  return ok;
}

bool IsDirectory(const char* path) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

struct Usual {
  const char* type;
  const char* path;
  unsigned long flags;
  const char* options;
};

constexpr unsigned int kMountHarmless = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
constexpr unsigned long kHarmless = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr Usual kProc = {"proc", "/proc", kHarmless, nullptr};
constexpr Usual kSys = {"sysfs", "/sys", kHarmless | MS_RDONLY, nullptr};
constexpr Usual kPts = {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
                        "newinstance,ptmxmode=0666,mode=0620,gid=5"};

// Kernels before 5.12 change one mount at a time.
bool Restrict(const Usual& usual) {
  static_assert(MS_RDONLY == MOUNT_ATTR_RDONLY && kHarmless == kMountHarmless);
  mount_attr wanted{};
  wanted.attr_set = usual.flags;  // The two kinds of flags are the same bits.
  if (mount_setattr(AT_FDCWD, usual.path, AT_RECURSIVE, &wanted, sizeof wanted) == 0) return true;
  return errno == ENOSYS &&
         mount(nullptr, usual.path, nullptr, MS_REMOUNT | MS_BIND | usual.flags, nullptr) == 0;
}

Failed MountOne(const Usual& usual, std::vector<std::string>* missing) {
  if (!IsDirectory(usual.path)) {
    missing->push_back(usual.path);
    return {};
  }
  if (mount(usual.type, usual.path, usual.type, usual.flags, usual.options) == 0) return {};
  // The root came with this sysfs there: this namespace's mounts of it and of what is below it
  // (tracefs, cgroups) are changed, no others.
  if (errno == EBUSY && Restrict(usual)) return {};
  return std::string("mount ") + usual.path;
}

}  // namespace

Failed EnterRoot() {
  const int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (here < 0) return "open the root";
  if (!GoToNamespaceRoot()) return "leave the caller's root";
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return "make mounts private";
  const int tree =
      open_tree(here, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
  if (tree < 0) return "clone the root's mounts";
  if (move_mount(tree, "", here, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return "mount the root on itself";
  // pivot_root(2): with "." twice the old root lies on the new one, where it can be detached.
  if (fchdir(tree) != 0 || syscall(SYS_pivot_root, ".", ".") != 0) return "change the root";
  if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0) return "leave the server's mounts";
  close(tree);
  close(here);
  return {};
}

int OpenProc() {
  const int context = fsopen("proc", FSOPEN_CLOEXEC);
  if (context < 0) return -1;
  int fd = -1;
  if (fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0)
    fd = fsmount(context, FSMOUNT_CLOEXEC, kMountHarmless);
  const int err = errno;
  close(context);
  errno = err;
  return fd;
}

Failed LeaveProcs(int proc_fd, std::vector<Mount>* mounts) {
  // Each time the topmost mount of its place goes, so that this ends.
  for (;;) {
    mounts->clear();
    if (!ReadMounts(proc_fd, mounts)) return "read the mounts";
    const auto found = std::find_if(mounts->begin(), mounts->end(),
                                    [](const Mount& mount) { return mount.type == "proc"; });
    if (found == mounts->end()) return {};
    if (umount2(found->path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
      return "unmount " + found->path;
  }
}

Failed MountUsual(bool with_sys, std::vector<std::string>* missing) {
  Failed failed = MountOne(kProc, missing);
  if (failed.empty() && with_sys) failed = MountOne(kSys, missing);
  if (failed.empty()) failed = MountOne(kPts, missing);
  struct stat st;
  if (failed.empty() && (lstat("/dev/null", &st) != 0 || !S_ISCHR(st.st_mode)))
    missing->push_back("/dev/null");
  return failed;
}

Failed DropCapabilities() {
  // DAC_READ_SEARCH: open_by_handle_at(2) leads from any directory to the whole of its file system.
  for (const int capability :
       {CAP_DAC_READ_SEARCH, CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_BOOT, CAP_SYS_TIME})
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return "drop capabilities";
  return {};
}

}  // namespace local
