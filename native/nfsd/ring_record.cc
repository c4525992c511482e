#include "nfsd/ring_record.h"

#include <linux/perf_event.h>

#include <algorithm>
#include <cstring>

namespace {

// With PERF_SAMPLE_TIME | PERF_SAMPLE_RAW: header, u64 time, u32 size, the tracepoint's own bytes.
constexpr size_t kSampleHead = sizeof(perf_event_header) + 8 + 4;
// With sample_id_all: header, u64 id, u64 lost, u64 time.
constexpr size_t kLostSize = sizeof(perf_event_header) + 8 + 8 + 8;

}  // namespace

RingRecord RingBytes::Read(uint64_t tail, uint64_t head) {
  RingRecord out;
  perf_event_header header;
  memcpy(&header, Piece(tail, sizeof header), sizeof header);
  if (header.size < sizeof header || header.size > std::min<uint64_t>(head - tail, size_))
    return out;
  const uint8_t* record = Piece(tail, header.size);
  out.bytes = header.size;
  out.kind = RingRecord::Kind::kOther;
  if (header.type == PERF_RECORD_SAMPLE && header.size >= kSampleHead) {
    out.kind = RingRecord::Kind::kSample;
    uint32_t raw_size;
    memcpy(&out.sample.time_ns, record + 8, 8);
    memcpy(&raw_size, record + 16, 4);
    out.sample.data = record + kSampleHead;
    out.sample.size = std::min<uint32_t>(raw_size, header.size - kSampleHead);
  } else if (header.type == PERF_RECORD_LOST && header.size >= kLostSize) {
    out.kind = RingRecord::Kind::kLost;
    memcpy(&out.lost, record + 16, 8);
    memcpy(&out.time_ns, record + 24, 8);
  }
  return out;
}

// `length` bytes at ring position `at`, in one piece.
const uint8_t* RingBytes::Piece(uint64_t at, size_t length) {
  const size_t offset = static_cast<size_t>(at & (size_ - 1));
  if (offset + length <= size_) return data_ + offset;
  scratch_.resize(length);
  const size_t first = size_ - offset;
  memcpy(scratch_.data(), data_ + offset, first);
  memcpy(scratch_.data() + first, data_, length - first);
  return scratch_.data();
}
