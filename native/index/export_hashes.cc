#include "index/export_hashes.h"

#include <algorithm>

#include "crc32.h"

namespace {

bool SameRoot(const ExportKey& a, const ExportKey& b) {
  if (a.root.has_value() != b.root.has_value()) return false;
  return !a.root.has_value() || a.root->View() == b.root->View();
}

}  // namespace

uint32_t NfsHandleHash(uint8_t fsid_type, const std::string& fsid, const HandleView* handle) {
  uint8_t head[4] = {1, 0, fsid_type, handle == nullptr ? uint8_t{0} : handle->type};
  uint32_t crc = Crc32(Crc32(0, head, sizeof head), fsid.data(), fsid.size());
  return handle == nullptr ? crc : Crc32(crc, handle->bytes, handle->size);
}

ExportHashes::Added ExportHashes::AddKey(const ExportKey& key) {
  with_parents_ = with_parents_ || key.with_parents;
  for (ExportKey& known : keys_) {
    if (known.fsid_type != key.fsid_type || known.fsid != key.fsid) continue;
    if (SameRoot(known, key) && known.with_parents >= key.with_parents) return Added::kNothing;
    known.root = key.root;
    known.with_parents = known.with_parents || key.with_parents;
    Clear();
    return Added::kChanged;
  }
  keys_.push_back(key);
  return Added::kNewest;
}

void ExportHashes::Add(uint32_t id, HandleView handle, bool is_root) {
  for (const ExportKey& key : keys_) AddUnder(key, id, handle, is_root);
}

void ExportHashes::AddNewest(uint32_t id, HandleView handle, bool is_root) {
  AddUnder(keys_.back(), id, handle, is_root);
}

void ExportHashes::AddWithParent(uint32_t id, HandleView handle, HandleView parent) {
  for (const ExportKey& key : keys_) AddUnder(key, id, handle, parent);
}

void ExportHashes::AddNewestWithParent(uint32_t id, HandleView handle, HandleView parent) {
  AddUnder(keys_.back(), id, handle, parent);
}

uint32_t ExportHashes::HashUnder(const ExportKey& key, HandleView handle, bool is_root) {
  bool export_root = key.root.has_value() ? key.root->View() == handle : is_root;
  return NfsHandleHash(key.fsid_type, key.fsid, export_root ? nullptr : &handle);
}

void ExportHashes::AddUnder(const ExportKey& key, uint32_t id, HandleView handle, bool is_root) {
  Insert(HashUnder(key, handle, is_root), id);
}

// Moves later members of the run back, as NumberSet does.
void ExportHashes::Remove(uint32_t id, HandleView handle, bool is_root) {
  const size_t mask = slots_.size() - 1;
  for (const ExportKey& key : keys_) {
    uint32_t hash = HashUnder(key, handle, is_root);
    size_t hole = hash & mask;
    while (slots_[hole].id != kNone && (slots_[hole].hash != hash || slots_[hole].id != id))
      hole = (hole + 1) & mask;
    if (slots_[hole].id == kNone) continue;
    for (size_t i = (hole + 1) & mask; slots_[i].id != kNone; i = (i + 1) & mask) {
      if (((i - slots_[i].hash) & mask) < ((i - hole) & mask)) continue;
      slots_[hole] = slots_[i];
      hole = i;
    }
    slots_[hole] = {0, kNone};
    used_--;
  }
}

void ExportHashes::AddUnder(const ExportKey& key, uint32_t id, HandleView handle,
                            HandleView parent) {
  uint8_t room[2 * MAX_HANDLE_SZ];
  HandleView both;
  if (key.with_parents && WithParent(handle, parent, room, &both))
    Insert(NfsHandleHash(key.fsid_type, key.fsid, &both), id);
}

void ExportHashes::Clear() {
  std::fill(slots_.begin(), slots_.end(), Slot{0, kNone});
  used_ = 0;
  collisions_ = 0;
}

void ExportHashes::Insert(uint32_t hash, uint32_t id) {
  if ((used_ + 1) * 4 > slots_.size() * 3) {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2, Slot{0, kNone});
    old.swap(slots_);
    for (Slot slot : old)
      if (slot.id != kNone) Put(slot);
  }
  bool shared = false;
  for (size_t i = hash & (slots_.size() - 1); slots_[i].id != kNone;
       i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].hash != hash) continue;
    if (slots_[i].id == id) return;
    shared = true;
  }
  collisions_ += shared;
  Put({hash, id});
  used_++;
}

void ExportHashes::Put(Slot slot) {
  size_t i = slot.hash & (slots_.size() - 1);
  while (slots_[i].id != kNone) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = slot;
}

std::vector<uint32_t> ExportHashes::Find(uint32_t hash) const {
  std::vector<uint32_t> ids;
  if (slots_.empty()) return ids;
  for (size_t i = hash & (slots_.size() - 1); slots_[i].id != kNone;
       i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].hash == hash) ids.push_back(slots_[i].id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}
