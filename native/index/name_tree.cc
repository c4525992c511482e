#include "index/name_tree.h"

#include <sys/random.h>

#include <algorithm>

namespace {

// A client can nest directories as deep as its disk lasts and link a file 65,000 times: each would
// be some gigabytes of paths. The kernel takes names of 4096 bytes from programs, and so do images.
constexpr size_t kLongestPath = 32 * 1024;
constexpr size_t kMostPaths = 1024;

}  // namespace

void NameTree::SetRoot(HandleView handle) {
  // Names come from the network's clients: a seed keeps them from choosing collisions.
  if (getrandom(&seed_, sizeof seed_, GRND_NONBLOCK) != sizeof seed_) seed_ = 0;
  bool added;
  FindOrAdd(handle, &added);
  objects_[kRoot].kind = Kind::kDirectory;
}

void NameTree::Reserve(uint32_t names) {
  if (objects_.size() != 1) return;
  by_handle_.Reserve(names + 1);
  by_name_.Reserve(names);
  by_handle_.Insert(HandleHash(HandleOf(kRoot)), kRoot, [](uint32_t) { return 0u; });
}

uint32_t NameTree::HandleHash(HandleView handle) const {
  return HashBytes(handle.bytes, handle.size, seed_ + handle.type);
}

uint32_t NameTree::NameHash(uint32_t parent, std::string_view name) const {
  return HashBytes(name.data(), name.size(), seed_ + parent * 0x9e3779b97f4a7c15ull);
}

HandleView NameTree::HandleOf(uint32_t id) const {
  const uint8_t* record = handles_.At(objects_[id].handle);
  return {record[0], record[1], record + 2};
}

uint32_t NameTree::Find(HandleView handle) const {
  return by_handle_.Find(HandleHash(handle), [&](uint32_t id) { return HandleOf(id) == handle; });
}

uint32_t NameTree::FindOrAdd(HandleView handle, bool* added) {
  uint32_t id = Find(handle);
  *added = id == kNone && objects() < limit_ && !handles_.Full();
  if (!*added) {
    refused_ += id == kNone;
    return id;
  }
  uint8_t* record;
  uint32_t offset = handles_.Allocate(size_t{2} + handle.size, &record);
  record[0] = handle.type;
  record[1] = handle.size;
  memcpy(record + 2, handle.bytes, handle.size);
  handle_bytes_ += size_t{2} + handle.size;
  added_++;
  const Object object{offset, kNone, kNone, 0, Kind::kUnknown, false, late_, false, false};
  if (free_object_ == kNone) {
    id = objects_.Push(object);
  } else {
    id = free_object_;
    free_object_ = objects_[id].first_child;
    free_objects_--;
    objects_[id] = object;
  }
  by_handle_.Insert(HandleHash(handle), id, [&](uint32_t i) { return HandleHash(HandleOf(i)); });
  return id;
}

void NameTree::SetKind(uint32_t id, Kind kind) {
  Object& object = objects_[id];
  if (object.kind == kind || object.kind == Kind::kDirectory) return;
  object.kind = kind;
  if (kind != Kind::kDirectory || object.first_name == kNone) return;
  for (uint32_t name = names_[object.first_name].next_of_object; name != kNone;) {
    uint32_t next = names_[name].next_of_object;
    Remove(name);
    name = next;
  }
}

std::string_view NameTree::Text(uint32_t name) const {
  const uint8_t* record = texts_.At(names_[name].text);
  return {reinterpret_cast<const char*>(record + 2), record[0] + size_t{256} * record[1]};
}

uint32_t NameTree::FindName(uint32_t parent, std::string_view name) const {
  return by_name_.Find(NameHash(parent, name),
                       [&](uint32_t i) { return names_[i].parent == parent && Text(i) == name; });
}

uint32_t NameTree::NewName() {
  if (free_name_ == kNone) return names_.Push({});
  uint32_t name = free_name_;
  free_name_ = names_[name].next_of_object;
  free_names_--;
  return name;
}

void NameTree::AttachLive(uint32_t index) {
  Name& name = names_[index];
  Object& parent = objects_[name.parent];
  name.live = 1;
  name.previous_sibling = kNone;
  name.next_sibling = parent.first_child;
  if (parent.first_child != kNone) names_[parent.first_child].previous_sibling = index;
  parent.first_child = index;
  by_name_.Insert(NameHash(index), index, [&](uint32_t i) { return NameHash(i); });
  generation_++;
  MarkChanged(name.object);
}

void NameTree::DetachLive(uint32_t index) {
  Name& name = names_[index];
  if (name.previous_sibling == kNone)
    objects_[name.parent].first_child = name.next_sibling;
  else
    names_[name.previous_sibling].next_sibling = name.next_sibling;
  if (name.next_sibling != kNone)
    names_[name.next_sibling].previous_sibling = name.previous_sibling;
  by_name_.Erase(NameHash(index), index, [&](uint32_t i) { return NameHash(i); });
  name.live = 0;
  generation_++;
  MarkChanged(name.object);
}

void NameTree::Remove(uint32_t index) {
  if (names_[index].live) DetachLive(index);
  Name& name = names_[index];
  uint32_t* link = &objects_[name.object].first_name;
  while (*link != index) link = &names_[*link].next_of_object;
  *link = name.next_of_object;
  dropped_text_bytes_ += 2 + Text(index).size();
  objects_[name.parent].below--;
  name.next_of_object = free_name_;
  free_name_ = index;
  free_names_++;
}

void NameTree::RemoveUnlinked(uint32_t id) {
  for (uint32_t name = objects_[id].first_name; name != kNone;) {
    uint32_t next = names_[name].next_of_object;
    if (!names_[name].live) Remove(name);
    name = next;
  }
}

bool NameTree::Link(uint32_t parent, std::string_view text, uint32_t id) {
  if (id == kRoot || id == parent) return false;
  if (names() / 2 >= limit_ || texts_.Full()) {
    refused_++;
    return false;
  }
  SetKind(parent, Kind::kDirectory);
  uint32_t taken = FindName(parent, text);
  if (taken != kNone) {
    names_[taken].seen = 1;
    if (names_[taken].object == id) return false;
    unsettled_.push_back(names_[taken].object);
    DetachLive(taken);
  }
  Object& object = objects_[id];
  if (object.kind == Kind::kDirectory) {
    // What happened in it while it was out of the tree is not known.
    if (object.first_name != kNone && Gone(id)) object.listed = false;
    while (object.first_name != kNone) Remove(object.first_name);
    // Most directories are linked before anything is below them: no way to walk up then.
    if (object.below != 0) CutCycle(parent, id);
  } else {
    RemoveUnlinked(id);
  }
  uint8_t* record;
  uint32_t offset = texts_.Allocate(2 + text.size(), &record);
  record[0] = static_cast<uint8_t>(text.size());
  record[1] = static_cast<uint8_t>(text.size() >> 8);
  memcpy(record + 2, text.data(), text.size());
  text_bytes_ += 2 + text.size();
  uint32_t index = NewName();
  names_[index] = {id, 0, parent, 1, object.first_name, kNone, kNone, offset};
  object.first_name = index;
  objects_[parent].below++;
  AttachLive(index);
  return true;
}

// Before `id` is put below `parent`: if `id` is above `parent` already, one of the links on the way
// is out of date. A last known name goes first; else the one right below `id`.
void NameTree::CutCycle(uint32_t parent, uint32_t id) {
  uint32_t stale = kNone;
  uint32_t last = kNone;
  for (uint32_t at = parent; at != id; at = names_[last].parent) {
    last = objects_[at].first_name;
    if (last == kNone) return;
    if (!names_[last].live) stale = last;
  }
  if (last == kNone) return;
  Remove(stale != kNone ? stale : last);
}

bool NameTree::Unlink(uint32_t parent, std::string_view text) {
  uint32_t name = FindName(parent, text);
  if (name == kNone) return false;
  unsettled_.push_back(names_[name].object);
  DetachLive(name);
  return true;
}

uint32_t NameTree::Child(uint32_t parent, std::string_view text) const {
  uint32_t name = FindName(parent, text);
  return name == kNone ? kNone : names_[name].object;
}

uint32_t NameTree::ParentOf(uint32_t id) const {
  uint32_t name = objects_[id].first_name;
  return name == kNone ? kNone : names_[name].parent;
}

void NameTree::BeginListing(uint32_t dir) {
  for (uint32_t name = objects_[dir].first_child; name != kNone; name = names_[name].next_sibling)
    names_[name].seen = 0;
}

void NameTree::EndListing(uint32_t dir) {
  for (uint32_t name = objects_[dir].first_child; name != kNone;) {
    uint32_t next = names_[name].next_sibling;
    if (!names_[name].seen) {
      unsettled_.push_back(names_[name].object);
      DetachLive(name);
    }
    name = next;
  }
  SetListed(dir);
}

void NameTree::Settle() {
  for (uint32_t id : unsettled_) {
    bool live = false;
    for (uint32_t name = objects_[id].first_name; name != kNone; name = names_[name].next_of_object)
      live = live || names_[name].live;
    if (live) RemoveUnlinked(id);
  }
  unsettled_.clear();
  // Names that came and went: copy the rest out of the way once they are half of the arena.
  if (dropped_text_bytes_ > (1u << 20) && dropped_text_bytes_ > text_bytes_ / 2) CompactTexts();
}

bool NameTree::NameAlive(uint32_t name) const {
  while (names_[name].live) {
    uint32_t parent = names_[name].parent;
    if (parent == kRoot) return root_alive_;
    name = objects_[parent].first_name;
    if (name == kNone) return false;
  }
  return false;
}

bool NameTree::Gone(uint32_t id) const {
  if (id == kRoot) return !root_alive_;
  for (uint32_t name = objects_[id].first_name; name != kNone; name = names_[name].next_of_object)
    if (NameAlive(name)) return false;
  return true;
}

// False: a directory on the way has no known name, or it is too long.
bool NameTree::PathOf(uint32_t name, std::string* path, bool* left_out) const {
  std::vector<std::string_view> parts;
  size_t size = 0;
  for (;;) {
    parts.push_back(Text(name));
    size += 1 + parts.back().size();
    if (size > kLongestPath) {
      *left_out = true;
      return false;
    }
    uint32_t parent = names_[name].parent;
    if (parent == kRoot) break;
    name = objects_[parent].first_name;
    if (name == kNone) return false;
  }
  path->clear();
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!path->empty()) path->push_back('/');
    path->append(*part);
  }
  return true;
}

std::vector<std::string> NameTree::Paths(uint32_t id, bool* left_out) const {
  if (id == kRoot) return {std::string()};
  bool ignored;
  if (left_out == nullptr) left_out = &ignored;
  std::vector<std::string> live;
  std::vector<std::string> last;
  std::string path;
  for (uint32_t name = objects_[id].first_name; name != kNone; name = names_[name].next_of_object) {
    if (live.size() + last.size() == kMostPaths) {
      *left_out = true;
      break;
    }
    if (!PathOf(name, &path, left_out)) continue;
    (NameAlive(name) ? live : last).push_back(path);
  }
  std::vector<std::string>& paths = live.empty() ? last : live;
  std::sort(paths.begin(), paths.end());
  return std::move(paths);
}

size_t NameTree::Bytes() const {
  return objects_.Bytes() + names_.Bytes() + handles_.Bytes() + texts_.Bytes() +
         by_handle_.Bytes() + by_name_.Bytes() +
         (unsettled_.capacity() + changed_.capacity()) * sizeof(uint32_t);
}
