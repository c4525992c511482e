// The records in the bytes of one perf ring (perf_event_open(2), "MMAP layout"), each in one piece.
// Owns the layout of a record and the copy of one that wraps around the ring's end. Must not know
// descriptors, mappings, or what a tracepoint's own bytes mean.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "nfsd/trace_format.h"

struct RingRecord {
  enum class Kind : uint8_t {
    kSample,
    kLost,    // `lost` records were dropped before it
    kOther,   // to be passed over
    kBroken,  // not perf's format: nothing after it can be trusted
  };
  Kind kind = Kind::kBroken;
  uint16_t bytes = 0;
  RawRecord sample{};    // of kSample; good until the next Read
  uint64_t lost = 0;     // of kLost
  uint64_t time_ns = 0;  // likewise
};

class RingBytes {
 public:
  RingBytes() = default;
  // `size` is a power of two.
  RingBytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}

  size_t size() const { return size_; }

  // The record at ring position `tail`, of what the kernel has written up to `head`, which is
  // beyond it.
  RingRecord Read(uint64_t tail, uint64_t head);

 private:
  const uint8_t* Piece(uint64_t at, size_t length);

  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  std::vector<uint8_t> scratch_;
};
