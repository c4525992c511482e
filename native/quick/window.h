// The bytes of a regular file from anywhere on, by few calls. Owns how much is read at once: little
// after a jump, more where one piece follows the other.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace quick {

class Window {
 public:
  explicit Window(int file) : file_(file), bytes_(new char[kMost]) {}

  // What is there at `offset`: exactly `length` bytes, fewer at the end; without a length what is
  // at hand, at least one. Good until the next call. `length` is kMost at most.
  std::string_view At(uint64_t offset, size_t length = 0);
  // A read failed: what seemed to be the end is none.
  bool failed() const { return failed_; }

  static constexpr size_t kMost = 64 << 10;

 private:
  void Fill(uint64_t offset, size_t least);

  const int file_;
  const std::unique_ptr<char[]> bytes_;
  uint64_t start_ = 0;
  size_t size_ = 0;
  size_t step_ = 0;
  bool failed_ = false;
};

}  // namespace quick
