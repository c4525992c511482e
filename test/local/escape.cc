// What a program does that wants out of its root: for confined.test.ts, run as root in a root.
// Prints one line for each way that led out; none otherwise.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace {

// Beside the root, on its file system.
bool SeesOutside() { return access("outside", F_OK) == 0 || access("/outside", F_OK) == 0; }

// A second chroot below a directory that is kept: ".." no longer meets the root on its way up.
void SecondChroot() {
  const int here = open("/", O_RDONLY | O_DIRECTORY);
  mkdir("/tmp/second", 0700);
  if (chroot("/tmp/second") != 0 || fchdir(here) != 0) puts("cannot try chroot");
  bool out = false;
  for (int step = 0; step < 100; step++) {
    if (chdir("..") != 0) puts("cannot try ..");
    out = out || SeesOutside();
  }
  if (out) puts("chroot");
}

// Handles reach all of a file system from any directory in it.
void Handle() {
  alignas(struct file_handle) char space[sizeof(struct file_handle) + MAX_HANDLE_SZ];
  struct file_handle* handle = reinterpret_cast<struct file_handle*>(space);
  handle->handle_bytes = MAX_HANDLE_SZ;
  int mount_id;
  const int here = open("/", O_RDONLY | O_DIRECTORY);
  if (name_to_handle_at(here, "", handle, &mount_id, AT_EMPTY_PATH) != 0) puts("no handle");
  if (open_by_handle_at(here, handle, O_RDONLY) >= 0 || errno != EPERM) puts("handle");
}

// What the root was put over.
void Unmount() {
  if (umount2("/", MNT_DETACH) == 0 && SeesOutside()) puts("umount");
}

}  // namespace

int main() {
  Handle();
  SecondChroot();
  Unmount();
}
