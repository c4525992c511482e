// XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md) with seed 0: finds damage, quicker than
// memory gives the bytes. Owns only the computation.
#pragma once
#include <cstddef>
#include <cstdint>

class Xxh64 {
 public:
  Xxh64();
  void Add(const void* data, size_t size);
  uint64_t Sum() const;

 private:
  void Stripe(const unsigned char* at);

  uint64_t lanes_[4];
  uint64_t total_ = 0;
  unsigned char waiting_[32];  // the first total_ % 32 of them
};
