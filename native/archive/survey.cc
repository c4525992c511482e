// See survey.h.
#include "archive/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>

#include "archive/root_tree.h"

namespace {

// Only whether there are any; what fails is asked again, by who can tell of it.
bool MayHaveAttributes(ssize_t length) { return length != 0 && !(length < 0 && errno == ENOTSUP); }

void LookInside(int fd, double* row) {
  unsigned char head[4];
  if (pread(fd, head, sizeof head, 0) == sizeof head)
    row[1] = head[0] | head[1] << 8 | head[2] << 16 | static_cast<uint32_t>(head[3]) << 24;
  row[2] = MayHaveAttributes(flistxattr(fd, nullptr, 0));
}

}  // namespace

void FillStat(const struct statx& st, bool foreign, double* out) {
  out[0] = st.stx_mode & S_IFMT;
  out[1] = st.stx_mode & 07777;
  out[2] = st.stx_uid;
  out[3] = st.stx_gid;
  out[4] = static_cast<double>(st.stx_size);
  out[5] = static_cast<double>(st.stx_mtime.tv_sec);
  out[6] = st.stx_mtime.tv_nsec;
  out[7] = static_cast<double>(st.stx_ctime.tv_sec);
  out[8] = st.stx_ctime.tv_nsec;
  out[9] = st.stx_nlink;
  out[10] = static_cast<double>(makedev(st.stx_dev_major, st.stx_dev_minor));
  out[11] = st.stx_rdev_major;
  out[12] = st.stx_rdev_minor;
  out[13] = foreign ? 1 : 0;
  const uint64_t inode = st.stx_ino;
  memcpy(out + 14, &inode, sizeof inode);
}

void Survey(RootTree* tree, std::string_view paths, double* rows) {
  double* row = rows;
  std::string_view path;
  for (size_t at = 0; at < paths.size(); at += path.size() + 1) {
    path = paths.substr(at, paths.find('\0', at) - at);
    row[0] = 0;
    row[1] = -1;
    row[2] = 1;
    struct statx st;
    if (!tree->Stat(path, &st)) {
      row[0] = errno;
      memset(row + 3, 0, kStatFields * sizeof *row);
    } else {
      FillStat(st, tree->IsForeign(path, st), row + 3);
      const char* name;
      const int directory = tree->Parent(path, &name);
      if (directory >= 0 && S_ISREG(st.stx_mode) && *name != '\0') {
        const int fd = OpenQuietly(directory, name, 0);
        if (fd >= 0) {
          LookInside(fd, row);
          close(fd);
        }
      } else if (directory >= 0) {
        row[2] = MayHaveAttributes(llistxattr(WayTo(directory, name).c_str(), nullptr, 0));
      }
    }
    row += kSurveyFields;
  }
}
