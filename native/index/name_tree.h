// Objects (inodes, known by their handle) and their names, as parent pointers: moving a directory
// is one changed name, and the paths of everything below follow.
// Owns both, in memory. Must not make system calls, nor know hashes.
//
//   object 0 = root        name: parent object, bytes, object, live or last known
//   object: handle, kind, list of its names, list of the live names in it
//
// "Gone" is worked out, not stored: no live name leads up to the root. An object that is gone keeps
// its id and last names until Prune() forgets it, since clients make and delete files for ever.
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

  // At most this many objects, and twice as many names: more are refused.
  explicit NameTree(uint32_t limit) : limit_(limit) {}

  // Gives object 0 its handle; once, first.
  void SetRoot(HandleView handle);
  // Before the first walk's many objects: growing step by step costs a quarter of its merge.
  void Reserve(uint32_t names);
  // False once the root directory itself is deleted: then everything is gone.
  void SetRootAlive(bool alive) { root_alive_ = alive; }

  // An object that comes after this is late: it was not there at the first walk.
  void BeginLate() { late_ = true; }
  bool Late(uint32_t id) const { return objects_[id].late; }

  uint32_t Find(HandleView handle) const;              // kNone: unknown
  uint32_t FindOrAdd(HandleView handle, bool* added);  // kNone: refused
  HandleView HandleOf(uint32_t id) const;
  Kind KindOf(uint32_t id) const { return objects_[id].kind; }
  // A directory that turns out to have several names keeps the newest.
  void SetKind(uint32_t id, Kind kind);
  // Whether this directory has been listed since it (re)appeared.
  bool Listed(uint32_t id) const { return objects_[id].listed; }
  void SetListed(uint32_t id) { objects_[id].listed = true; }

  // Puts a live name on an object. A directory has one name, so it moves; another object that had
  // this name loses it. A move below itself (events out of order) cuts the link that is in the way.
  // False: it was there already.
  bool Link(uint32_t parent, std::string_view name, uint32_t id);
  // Takes a live name away. Settle() decides what becomes of it.
  bool Unlink(uint32_t parent, std::string_view name);
  // The object that has this live name, or kNone.
  uint32_t Child(uint32_t parent, std::string_view name) const;
  // Parent by the live (or else last known) name; kNone for the root and the nameless.
  uint32_t ParentOf(uint32_t id) const;

  // Calls with the directory of each name, live or last known; one with two names comes twice.
  template <typename Use>
  void ForEachParent(uint32_t id, Use use) const {
    for (uint32_t name = objects_[id].first_name; name != kNone; name = names_[name].next_of_object)
      use(names_[name].parent);
  }

  // A listing of `dir` begins: Link() now marks what it sees...
  void BeginListing(uint32_t dir);
  // ...and a complete one ends: live names in it that were not seen are unlinked.
  void EndListing(uint32_t dir);
  // After a group of changes: unlinked names are dropped if their object still has a live one, and
  // kept as last known names if not.
  void Settle();

  bool Gone(uint32_t id) const;
  // Live paths, or the last known ones if there is none; bytewise sorted; "" for the root. What is
  // longer or more than a client should be able to make us keep is left out, and *left_out is set.
  std::vector<std::string> Paths(uint32_t id, bool* left_out = nullptr) const;

  // Every object of which a name, or a name above it, has changed since the last call.
  std::vector<uint32_t> TakeChanged();

  // Forgets what was gone at the last call too, and is nobody's parent: its id goes to `pruned`
  // and may be given to another object from now on. `before` sees each while it is still there.
  // Does nothing (and costs nothing) until many objects have come since the last call.
  template <typename Before>
  std::vector<uint32_t> Prune(Before before) {
    std::vector<uint32_t> pruned = Prunable();
    for (uint32_t id : pruned) {
      before(id);
      Drop(id);
    }
    CompactHandles();
    return pruned;
  }

  // Ids are below this; those of forgotten objects are not in use.
  uint32_t size() const { return objects_.size(); }
  bool InUse(uint32_t id) const { return id < objects_.size() && objects_[id].handle != kNone; }
  uint32_t objects() const { return objects_.size() - free_objects_; }
  uint32_t names() const { return names_.size() - free_names_; }
  // Objects and names that there was no room for.
  uint64_t refused() const { return refused_; }
  // Goes up with every change of any name.
  uint64_t generation() const { return generation_; }
  size_t Bytes() const;

 private:
  struct Object {
    uint32_t handle;       // offset in handles_: type, size, bytes
    uint32_t first_name;   // newest first
    uint32_t first_child;  // a name whose parent this is
    uint32_t below;        // names, live or not, that point up to it
    Kind kind;
    bool listed : 1;
    bool late : 1;
    bool changed : 1;   // is in changed_
    bool was_gone : 1;  // at the last sweep
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
  bool PathOf(uint32_t name, std::string* path, bool* left_out) const;
  void CompactTexts();
  void CompactHandles();
  void MarkChanged(uint32_t id);
  std::vector<uint32_t> Prunable();
  void Drop(uint32_t id);

  const uint32_t limit_;
  uint64_t refused_ = 0;
  Chunked<Object> objects_;
  Chunked<Name> names_;
  Arena handles_;
  Arena texts_;
  NumberSet by_handle_;
  NumberSet by_name_;
  uint32_t free_name_ = kNone;
  uint32_t free_names_ = 0;
  uint32_t free_object_ = kNone;
  uint32_t free_objects_ = 0;
  uint32_t added_ = 0;  // objects since the last sweep
  std::vector<uint32_t> unsettled_;
  std::vector<uint32_t> changed_;
  size_t handle_bytes_ = 0;
  size_t dropped_handle_bytes_ = 0;
  size_t text_bytes_ = 0;
  size_t dropped_text_bytes_ = 0;
  uint64_t generation_ = 0;
  uint64_t seed_ = 0;
  bool root_alive_ = true;
  bool late_ = false;
};
