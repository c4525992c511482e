// One walk over a root that finds every symbolic link, and every directory that it looked into.
// Owns nothing. Must not resolve links: that is the caller's decision.
#pragma once
#include <string>

class RootTree;

struct SymlinkWalk {
  std::string flat;         // path NUL target NUL ... , in bytewise order of the paths
  std::string directories;  // path NUL ... , in no order; the root's own is empty
  int err = 0;              // errno of the failure, 0 if none
  std::string subject;      // the directory or link it happened on
};

// Stays on the root's own mount, and within paths of PATH_MAX bytes. What vanishes during the walk
// is passed over; a directory that may not be read is an error, because links in it would be
// missing from an image without a word.
void WalkSymlinks(RootTree* tree, SymlinkWalk* out);
