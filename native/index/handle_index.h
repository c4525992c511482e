// The handle index of one root: what is known (NameTree, ExportHashes) and how it is kept true
// (whole walks, single listings, creations and deletions seen elsewhere).
// Owns the root's descriptor and the journal of changes made while a walk is under way. One thread
// uses it; a walk on another thread works on a ScanLog of its own and a shared RootDirectory.
// Must not know JavaScript.
#pragma once
#include <sys/stat.h>

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "index/export_hashes.h"
#include "index/name_tree.h"
#include "index/walker.h"

// The root's descriptor, alive as long as anyone walks it.
class RootDirectory {
 public:
  RootDirectory() = default;
  ~RootDirectory();
  RootDirectory(const RootDirectory&) = delete;
  RootDirectory& operator=(const RootDirectory&) = delete;
  // Follows a symbolic link at `path`, once. Returns 0, or errno with the call's name in `failed`.
  int Open(const std::string& path, const char** failed);
  // Instead: there is no such directory, and a walk finds nothing.
  void Tell() { told_ = true; }
  int fd() const { return fd_; }
  int handle_flags() const { return handle_flags_; }
  bool Deleted() const;
  uint32_t OtherMounts() const;
  // Lists the whole tree. Any thread.
  int Walk(ScanLog* log, ScanCounts* counts, const std::atomic<bool>* cancelled) const;

 private:
  int fd_ = -1;
  // AT_HANDLE_FID where the file system cannot decode handles (Linux 6.5): good for fanotify's
  // identities, never seen in NFS.
  int handle_flags_ = 0;
  bool without_mounts_ = false;
  bool told_ = false;
  std::string resolved_;
};

struct MergeCounts {
  uint32_t objects = 0;
  uint32_t names = 0;
  uint64_t refused = 0;
};

class HandleIndex {
 public:
  // `limit`: the most objects.
  HandleIndex(std::shared_ptr<RootDirectory> root, HandleView root_handle, uint32_t limit);

  const NameTree& tree() const { return tree_; }
  const ExportHashes& hashes() const { return hashes_; }
  uint32_t IdOfHandle(HandleView handle) const { return tree_.Find(OwnPart(handle)); }
  bool IsDirectory(uint32_t id);

  void AddKey(const ExportKey& key);

  // A walk's life: changes between Begin and Merge are also kept in the journal and made again on
  // top of what the walk saw, since it may have listed a directory before they happened.
  void BeginWalk() { walking_ = true; }
  void AbandonWalk();
  MergeCounts MergeWalk(ScanLog* log, bool root_deleted);

  // False: nothing to do (parent not known, or not a name).
  bool Learn(HandleView parent, std::string_view name, HandleView object, Kind kind);
  bool Forget(HandleView parent, std::string_view name);
  bool RefreshDirectory(HandleView handle);
  // Looks at some names of a directory again: what it costs does not depend on the directory's
  // size. False as RefreshDirectory.
  bool RefreshNames(HandleView handle, const std::vector<std::string>& names);
  std::vector<uint32_t> TakeChanged() { return tree_.TakeChanged(); }
  // See NameTree::Prune.
  std::vector<uint32_t> Prune();

  // lstat of a live name that still leads to this very object, and of a link where it leads, if
  // that is asked for. False: there is none.
  bool Stat(uint32_t id, struct statx* status, std::string* target = nullptr);

  size_t Bytes() const { return tree_.Bytes() + hashes_.Bytes(); }

 private:
  struct Change {
    enum { kLearn, kForget, kRefresh } what;
    HandleCopy parent;
    std::string name;
    HandleCopy object;
    Kind kind;
  };

  uint32_t Intern(HandleView handle);
  void Link(uint32_t parent, std::string_view name, uint32_t id);
  void AddHashes(bool newest);
  void Rehash();
  MergeCounts Merge(ScanLog* log, uint32_t start);
  int OpenVerified(uint32_t id, int flags);
  int OpenDirectory(HandleView handle, uint32_t* id);
  bool Relist(uint32_t id, int fd, const std::vector<std::string>* names = nullptr);
  bool Heal(uint32_t id);

  const std::shared_ptr<RootDirectory> root_;
  NameTree tree_;
  ExportHashes hashes_;
  size_t most_hashes_ = SIZE_MAX;
  bool walking_ = false;
  std::vector<Change> journal_;
};
