// What a walk saw, as one flat run of records: written by the walker's thread, read once by the
// owner of the index. Peak memory is the bytes themselves; a chunk is freed as it is read.
// Owns the records' layout. Must not know what is done with them.
//
//   kBegin dir            a listing of directory number `dir` begins (0 = where the walk started)
//   kEntry                one name; a directory takes the next number, from 1
//   kEnd complete         the listing ends; complete: what was not in it is not there
//   kVanished dir name    what was logged as `name` in directory number `dir` is not there any more
#pragma once
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "index/handle.h"
#include "index/name_tree.h"

struct ScanRecord {
  enum Tag : uint8_t { kBegin, kEntry, kEnd, kVanished } tag;
  uint32_t number;  // dir of kBegin and kVanished; `complete` of kEnd
  Kind kind;
  std::string_view name;
  HandleView handle;
};

class ScanLog {
 public:
  void Begin(uint32_t dir) { PutNumber(ScanRecord::kBegin, dir); }
  void End(bool complete) { PutNumber(ScanRecord::kEnd, complete); }
  void Vanished(uint32_t dir, std::string_view name) {
    PutNumber(ScanRecord::kVanished, dir);
    Entry(Kind::kUnknown, name, {});
  }
  void Entry(Kind kind, std::string_view name, HandleView handle) {
    entries_++;
    uint8_t* p = Room(6 + name.size() + handle.size);
    p[0] = ScanRecord::kEntry;
    p[1] = static_cast<uint8_t>(kind);
    p[2] = handle.type;
    p[3] = handle.size;
    p[4] = static_cast<uint8_t>(name.size());
    p[5] = static_cast<uint8_t>(name.size() >> 8);
    memcpy(p + 6, name.data(), name.size());
    if (handle.size != 0) memcpy(p + 6 + name.size(), handle.bytes, handle.size);
  }

  uint32_t entries() const { return entries_; }
  // False at the end. The record's bytes live until the next call.
  bool Next(ScanRecord* record) {
    while (read_chunk_ < chunks_.size() && read_at_ == chunks_[read_chunk_].used) {
      chunks_[read_chunk_++].bytes.reset();
      read_at_ = 0;
    }
    if (read_chunk_ == chunks_.size()) return false;
    const uint8_t* p = chunks_[read_chunk_].bytes.get() + read_at_;
    record->tag = static_cast<ScanRecord::Tag>(p[0]);
    if (record->tag == ScanRecord::kVanished) {
      uint32_t dir;
      memcpy(&dir, p + 1, sizeof dir);
      read_at_ += 1 + sizeof dir;
      Next(record);
      record->tag = ScanRecord::kVanished;
      record->number = dir;
      return true;
    }
    if (record->tag != ScanRecord::kEntry) {
      memcpy(&record->number, p + 1, sizeof record->number);
      read_at_ += 1 + sizeof record->number;
      return true;
    }
    size_t name_size = p[4] + size_t{256} * p[5];
    record->kind = static_cast<Kind>(p[1]);
    record->name = {reinterpret_cast<const char*>(p + 6), name_size};
    record->handle = {p[2], p[3], p + 6 + name_size};
    read_at_ += 6 + name_size + p[3];
    return true;
  }

 private:
  static constexpr size_t kChunk = 256 * 1024;
  struct Chunk {
    std::unique_ptr<uint8_t[]> bytes;
    size_t used;
  };
  uint8_t* Room(size_t size) {
    if (chunks_.empty() || chunks_.back().used + size > kChunk)
      chunks_.push_back({std::unique_ptr<uint8_t[]>(new uint8_t[kChunk]), 0});
    Chunk& chunk = chunks_.back();
    chunk.used += size;
    return chunk.bytes.get() + chunk.used - size;
  }
  void PutNumber(ScanRecord::Tag tag, uint32_t number) {
    uint8_t* p = Room(1 + sizeof number);
    p[0] = tag;
    memcpy(p + 1, &number, sizeof number);
  }

  std::vector<Chunk> chunks_;
  uint32_t entries_ = 0;
  size_t read_chunk_ = 0;
  size_t read_at_ = 0;
};
