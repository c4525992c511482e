// What is at many paths of a tree, as bytes that are the same while nothing changes there.
// Owns these bytes. Must not know what they are compared with.
#pragma once
#include <cstdint>
#include <string_view>

class RootTree;

// All that statx(2) tells of one name but its access time; or why it tells nothing, and zeros.
struct ObjectState {
  uint64_t inode;
  uint64_t size;
  int64_t mtime;
  int64_t ctime;
  uint64_t device;
  uint64_t node;  // of a device node
  uint32_t mtime_nsec;
  uint32_t ctime_nsec;
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  uint32_t links;
  uint32_t foreign;  // another file system is mounted there
  uint32_t error;    // errno
};

// A hash is taken of them.
static_assert(sizeof(ObjectState) == 6 * 8 + 8 * 4, "nothing may lie between the fields");

struct StatesSeen {
  int64_t newest = 0;  // the latest ctime, in seconds
  bool foreign = false;
};

// Fills a state for each path, which each end by a NUL, and adds to what was seen.
void LookAtStates(RootTree* tree, std::string_view paths, ObjectState* states, StatesSeen* seen);
