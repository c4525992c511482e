// Fuzzes the way of the kernel's file events: what one read() of a fanotify group gives, taken in,
// counted and encoded.
// Input: a byte of classes to keep and of the table's size, then the read's bytes.
#include <cstdlib>

#include "fanotify/batch_encoder.h"
#include "fanotify/intake.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const uint32_t table_limit = (data[0] & 0x80) != 0 ? 2 : 256;
  fan::Intake intake({"nfsd"}, data[0] & 0x1f, table_limit);
  fan::SyncRound none;
  // Its own memory, so that a byte too many is seen.
  const std::vector<uint8_t> bytes(data + 1, data + size);
  intake.Consume(bytes.data(), bytes.size(), 0, 0, &none);
  intake.Consume(bytes.data(), bytes.size(), 0, 1, &none);
  std::vector<fan::Loss> losses;
  fan::EventTable* table = intake.Swap(&losses);
  if (table->size() > table_limit) abort();
  std::vector<uint8_t> out(fan::EncodedBound(*table));
  if (fan::EncodeRows(*table, out.data()) > out.size()) abort();
  intake.Recycle(table);
  return 0;
}
