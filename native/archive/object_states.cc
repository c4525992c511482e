// See object_states.h.
#include "archive/object_states.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <algorithm>

#include "archive/root_tree.h"

void LookAtStates(RootTree* tree, std::string_view paths, ObjectState* states, StatesSeen* seen) {
  ObjectState* state = states;
  std::string_view path;
  for (size_t at = 0; at < paths.size(); at += path.size() + 1, state++) {
    path = paths.substr(at, paths.find('\0', at) - at);
    struct statx st;
    if (!tree->Stat(path, &st)) {
      memset(state, 0, sizeof *state);
      state->error = static_cast<uint32_t>(errno);
      continue;
    }
    state->inode = st.stx_ino;
    state->size = st.stx_size;
    state->mtime = st.stx_mtime.tv_sec;
    state->ctime = st.stx_ctime.tv_sec;
    state->device = makedev(st.stx_dev_major, st.stx_dev_minor);
    state->node = makedev(st.stx_rdev_major, st.stx_rdev_minor);
    state->mtime_nsec = st.stx_mtime.tv_nsec;
    state->ctime_nsec = st.stx_ctime.tv_nsec;
    state->mode = st.stx_mode;
    state->uid = st.stx_uid;
    state->gid = st.stx_gid;
    state->links = st.stx_nlink;
    state->foreign = tree->IsForeign(path, st);
    state->error = 0;
    seen->newest = std::max(seen->newest, state->ctime);
    seen->foreign |= state->foreign != 0;
  }
}
