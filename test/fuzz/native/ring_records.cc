// Fuzzes the reading of a perf ring's bytes.
// Input: a byte for the ring's size, u16 for where its tail is, then what is in it from there on.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "nfsd/ring_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const size_t ring_size = size_t{64} << (data[0] % 8);
  uint16_t start;
  memcpy(&start, data + 1, sizeof start);
  data += 3;
  const size_t length = std::min(size - 3, ring_size);
  std::vector<uint8_t> ring(ring_size);
  for (size_t i = 0; i < length; i++) ring[(start + i) & (ring_size - 1)] = data[i];
  RingBytes bytes(ring.data(), ring_size);
  uint64_t tail = start, sum = 0;
  const uint64_t head = tail + length;
  while (tail != head) {
    const RingRecord record = bytes.Read(tail, head);
    if (record.kind == RingRecord::Kind::kBroken) break;
    if (record.bytes < 8 || record.bytes > head - tail) abort();
    if (record.kind == RingRecord::Kind::kSample)
      for (uint32_t i = 0; i < record.sample.size; i++) sum += record.sample.data[i];
    tail += record.bytes;
  }
  // Used, so that no read of a sample is left out.
  return sum == ~uint64_t{0} ? 0 : 0;
}
