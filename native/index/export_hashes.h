// CRC-32 hashes of the NFS handles of every object, for every export key.
// Owns the keys and the table hash -> object id. Must not know names or the file system.
//
//   knfsd handle = 01 00 <fsid type> <handle type> | <fsid> | <handle>
//   the export's own root = 01 00 <fsid type> 00 | <fsid>
//   with subtree_check a file's handle names its parent too: one hash for each directory it is in
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "index/compact.h"
#include "index/handle.h"

struct ExportKey {
  uint8_t fsid_type = 0;
  std::string fsid;
  // The export's root: kNone while it is none of the indexed objects.
  std::optional<HandleCopy> root;
  // The export checks subtrees, or did, or it is not known whether it does.
  bool with_parents = false;
};

// Hash of one NFS handle; `handle` null: the export's own root.
uint32_t NfsHandleHash(uint8_t fsid_type, const std::string& fsid, const HandleView* handle);

class ExportHashes {
 public:
  const std::vector<ExportKey>& keys() const { return keys_; }
  enum class Added {
    kNothing,  // it is there already, the same
    kNewest,   // the caller must now add every object to it
    kChanged   // nothing is there any more: the caller must now add every object again
  };
  // What had parents keeps them: clients use the handles that they were given.
  Added AddKey(const ExportKey& key);
  bool with_parents() const { return with_parents_; }
  // Adds an object under every key. `is_root`: it is the root of the indexed tree.
  void Add(uint32_t id, HandleView handle, bool is_root);
  // Adds an object under the newest key only.
  void AddNewest(uint32_t id, HandleView handle, bool is_root);
  // Takes an object out again.
  void Remove(uint32_t id, HandleView handle, bool is_root);
  // Adds a name's object as the handles with parents know it.
  void AddWithParent(uint32_t id, HandleView handle, HandleView parent);
  void AddNewestWithParent(uint32_t id, HandleView handle, HandleView parent);
  void Clear();
  size_t used() const { return used_; }
  // Ids in ascending order; usually one.
  std::vector<uint32_t> Find(uint32_t hash) const;
  // Objects that share a hash with one that was there before.
  uint32_t collisions() const { return collisions_; }
  size_t Bytes() const { return slots_.capacity() * sizeof(Slot); }

 private:
  struct Slot {
    uint32_t hash;
    uint32_t id;
  };
  static uint32_t HashUnder(const ExportKey& key, HandleView handle, bool is_root);
  void AddUnder(const ExportKey& key, uint32_t id, HandleView handle, bool is_root);
  void AddUnder(const ExportKey& key, uint32_t id, HandleView handle, HandleView parent);
  void Insert(uint32_t hash, uint32_t id);
  void Put(Slot slot);

  std::vector<ExportKey> keys_;
  std::vector<Slot> slots_;
  size_t used_ = 0;
  uint32_t collisions_ = 0;
  bool with_parents_ = false;
};
