// What keeps a NameTree small while clients make, rename and delete files for ever: which objects
// changed, which can be forgotten, and the arenas' compaction. Owns nothing of its own.
#include <algorithm>
#include <unordered_map>

#include "index/name_tree.h"

namespace {

// Objects that come between two sweeps; also more than an eighth of all, so that sweeps cost a
// bounded share of what made them necessary.
constexpr uint32_t kSweepAfter = 65536;

}  // namespace

void NameTree::MarkChanged(uint32_t id) {
  Object& object = objects_[id];
  if (object.changed) return;
  object.changed = true;
  changed_.push_back(id);
}

std::vector<uint32_t> NameTree::TakeChanged() {
  // A name that changed is in the path of everything below it.
  for (size_t i = 0; i < changed_.size(); i++) {
    uint32_t id = changed_[i];
    if (!InUse(id)) continue;
    for (uint32_t name = objects_[id].first_child; name != kNone; name = names_[name].next_sibling)
      MarkChanged(names_[name].object);
  }
  std::vector<uint32_t> changed;
  changed.swap(changed_);
  changed.erase(
      std::remove_if(changed.begin(), changed.end(), [&](uint32_t id) { return !InUse(id); }),
      changed.end());
  for (uint32_t id : changed) objects_[id].changed = false;
  return changed;
}

// Those that were gone at the last sweep and still are, children before their parents; what still
// has something below it stays.
std::vector<uint32_t> NameTree::Prunable() {
  std::vector<uint32_t> found;
  if (added_ < kSweepAfter || added_ < objects() / 8) return found;
  added_ = 0;
  // Down from the root: asking each object would go up through all that is above it.
  std::vector<bool> alive(objects_.size(), false);
  std::vector<uint32_t> open;
  if (root_alive_) open.push_back(kRoot);
  while (!open.empty()) {
    uint32_t id = open.back();
    open.pop_back();
    if (alive[id]) continue;
    alive[id] = true;
    for (uint32_t name = objects_[id].first_child; name != kNone; name = names_[name].next_sibling)
      open.push_back(names_[name].object);
  }
  std::vector<bool> old(objects_.size(), false);
  for (uint32_t id = 1; id < objects_.size(); id++) {
    if (!InUse(id)) continue;
    Object& object = objects_[id];
    old[id] = !alive[id] && object.was_gone;
    object.was_gone = !alive[id];
    if (old[id] && object.below == 0) found.push_back(id);
  }
  std::unordered_map<uint32_t, uint32_t> released;
  for (size_t i = 0; i < found.size(); i++) {
    for (uint32_t name = objects_[found[i]].first_name; name != kNone;
         name = names_[name].next_of_object) {
      uint32_t parent = names_[name].parent;
      if (old[parent] && ++released[parent] == objects_[parent].below) found.push_back(parent);
    }
  }
  return found;
}

void NameTree::Drop(uint32_t id) {
  Object& object = objects_[id];
  while (object.first_name != kNone) Remove(object.first_name);
  by_handle_.Erase(HandleHash(HandleOf(id)), id,
                   [&](uint32_t i) { return HandleHash(HandleOf(i)); });
  dropped_handle_bytes_ += size_t{2} + HandleOf(id).size;
  object.handle = kNone;
  object.first_child = free_object_;
  free_object_ = id;
  free_objects_++;
}

void NameTree::CompactTexts() {
  Arena kept;
  text_bytes_ = 0;
  for (uint32_t id = 0; id < objects_.size(); id++) {
    if (!InUse(id)) continue;
    for (uint32_t name = objects_[id].first_name; name != kNone;
         name = names_[name].next_of_object) {
      size_t size = 2 + Text(name).size();
      uint8_t* record;
      uint32_t offset = kept.Allocate(size, &record);
      memcpy(record, texts_.At(names_[name].text), size);
      names_[name].text = offset;
      text_bytes_ += size;
    }
  }
  texts_ = std::move(kept);
  dropped_text_bytes_ = 0;
}

void NameTree::CompactHandles() {
  if (dropped_handle_bytes_ <= (1u << 20) || dropped_handle_bytes_ <= handle_bytes_ / 2) return;
  Arena kept;
  handle_bytes_ = 0;
  for (uint32_t id = 0; id < objects_.size(); id++) {
    if (!InUse(id)) continue;
    const uint8_t* from = handles_.At(objects_[id].handle);
    size_t size = size_t{2} + from[1];
    uint8_t* record;
    uint32_t offset = kept.Allocate(size, &record);
    memcpy(record, from, size);
    objects_[id].handle = offset;
    handle_bytes_ += size;
  }
  handles_ = std::move(kept);
  dropped_handle_bytes_ = 0;
}
