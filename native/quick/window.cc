#include "quick/window.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace quick {
namespace {

// A header and a name of usual length.
constexpr size_t kLeast = 256;

}  // namespace

std::string_view Window::At(uint64_t offset, size_t length) {
  const size_t least = std::max<size_t>(length, 1);
  if (offset < start_ || offset + least > start_ + size_) Fill(offset, least);
  const std::string_view here(bytes_.get() + (offset - start_), size_ - (offset - start_));
  return length == 0 ? here : here.substr(0, length);
}

void Window::Fill(uint64_t offset, size_t least) {
  const bool goes_on = offset >= start_ && offset <= start_ + size_;
  step_ = goes_on ? std::min(kMost, std::max(kLeast, step_ * 4)) : kLeast;
  start_ = offset;
  size_ = 0;
  const size_t wanted = std::max(least, step_);
  while (size_ < least) {
    const ssize_t count =
        pread(file_, bytes_.get() + size_, wanted - size_, static_cast<off_t>(offset + size_));
    if (count < 0 && errno == EINTR) continue;
    failed_ |= count < 0;
    if (count <= 0) return;
    size_ += static_cast<size_t>(count);
  }
}

}  // namespace quick
