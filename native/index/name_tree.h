// Objects (inodes, known by their handle) and their names, as parent pointers: moving a directory
// is one changed name, and the paths of everything below follow.
// Owns both, in memory. Must not make system calls, nor know hashes.
//
//   object 0 = root        name: parent object, bytes, object, live or last known
//   object: handle, kind, list of its names, list of the live names in it
//
// An object is never removed: its id stays good, and its last names are kept when it is gone.
// "Gone" is worked out, not stored: no live name leads up to the root.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "index/compact.h"
#include "index/handle.h"

enum class Kind : uint8_t { kUnknown = 0, kDirectory = 1, kOther = 2 };

class NameTree {
 public:
  static constexpr uint32_t kRoot = 0;

  // Gives object 0 its handle; once, first.
  void SetRoot(HandleView handle);
  // Before the first walk's many objects: growing step by step costs a quarter of its merge.
  void Reserve(uint32_t names);
  // False once the root directory itself is deleted: then everything is gone.
  void SetRootAlive(bool alive) { root_alive_ = alive; }

  uint32_t Find(HandleView handle) const;  // kNone: unknown
  uint32_t FindOrAdd(HandleView handle, bool* added);
  HandleView HandleOf(uint32_t id) const;
  Kind KindOf(uint32_t id) const { return objects_[id].kind; }
  // A directory that turns out to have several names keeps the newest.
  void SetKind(uint32_t id, Kind kind);
  // Whether this directory has been listed since it (re)appeared.
  bool Listed(uint32_t id) const { return objects_[id].listed; }
  void SetListed(uint32_t id) { objects_[id].listed = true; }

  // Puts a live name on an object. A directory has one name, so it moves; another object that had
  // this name loses it. A move below itself (events out of order) cuts the link that is in the way.
  void Link(uint32_t parent, std::string_view name, uint32_t id);
  // Takes a live name away. Settle() decides what becomes of it.
  bool Unlink(uint32_t parent, std::string_view name);
  // The object that has this live name, or kNone.
  uint32_t Child(uint32_t parent, std::string_view name) const;
  // Parent by the live (or else last known) name; kNone for the root and the nameless.
  uint32_t ParentOf(uint32_t id) const;

  // A listing of `dir` begins: Link() now marks what it sees...
  void BeginListing(uint32_t dir);
  // ...and a complete one ends: live names in it that were not seen are unlinked.
  void EndListing(uint32_t dir);
  // After a group of changes: unlinked names are dropped if their object still has a live one, and
  // kept as last known names if not.
  void Settle();

  bool Gone(uint32_t id) const;
  // Live paths, or the last known ones if there is none; bytewise sorted; "" for the root.
  std::vector<std::string> Paths(uint32_t id) const;

  uint32_t size() const { return objects_.size(); }
  // Goes up with every change of any name.
  uint64_t generation() const { return generation_; }
  size_t Bytes() const;

 private:
  struct Object {
    uint32_t handle;       // offset in handles_: type, size, bytes
    uint32_t first_name;   // newest first
    uint32_t first_child;  // a name whose parent this is
    Kind kind;
    bool listed;
    bool was_parent;  // something may point up to it
  };
  struct Name {
    uint32_t object : 31;
    uint32_t live : 1;
    uint32_t parent : 31;
    uint32_t seen : 1;
    uint32_t next_of_object;
    uint32_t next_sibling;  // live names only
    uint32_t previous_sibling;
    uint32_t text;  // offset in texts_: 2 bytes length, bytes
  };

  uint32_t HandleHash(HandleView handle) const;
  uint32_t NameHash(uint32_t parent, std::string_view name) const;
  uint32_t NameHash(uint32_t name) const { return NameHash(names_[name].parent, Text(name)); }
  std::string_view Text(uint32_t name) const;
  uint32_t FindName(uint32_t parent, std::string_view name) const;
  uint32_t NewName();
  void AttachLive(uint32_t name);
  void DetachLive(uint32_t name);
  void Remove(uint32_t name);
  void RemoveUnlinked(uint32_t id);
  bool NameAlive(uint32_t name) const;
  void CutCycle(uint32_t parent, uint32_t id);
  bool PathOf(uint32_t name, std::string* path) const;
  void CompactTexts();

  Chunked<Object> objects_;
  Chunked<Name> names_;
  Arena handles_;
  Arena texts_;
  NumberSet by_handle_;
  NumberSet by_name_;
  uint32_t free_name_ = kNone;
  std::vector<uint32_t> unsettled_;
  size_t text_bytes_ = 0;
  size_t dropped_text_bytes_ = 0;
  uint64_t generation_ = 0;
  uint64_t seed_ = 0;
  bool root_alive_ = true;
};
