#include "local/report.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace local {

namespace {

// Beyond this, reading waits for the tool: the kernel's queue then holds what comes.
constexpr size_t kMostPending = 16 * 1024 * 1024;

void Append(std::string* to, uint32_t number) {
  for (int shift = 0; shift < 32; shift += 8) to->push_back(static_cast<char>(number >> shift));
}

}  // namespace

void Report::Add(Kind kind, uint32_t value, const std::string& bytes) {
  Append(&buffer_, static_cast<uint32_t>(kind));
  Append(&buffer_, value);
  Append(&buffer_, static_cast<uint32_t>(bytes.size()));
  buffer_ += bytes;
  while (buffer_.size() - sent_ > kMostPending) {
    Wait();
    Send();
  }
}

void Report::Send() {
  while (pending()) {
    const ssize_t wrote =
        send(fd_, buffer_.data() + sent_, buffer_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) return;
    if (wrote < 0) _exit(1);
    sent_ += static_cast<size_t>(wrote);
  }
  buffer_.clear();
  sent_ = 0;
}

void Report::Finish() {
  for (Send(); pending(); Send()) Wait();
}

void Report::Wait() const {
  pollfd room{fd_, POLLOUT, 0};
  poll(&room, 1, -1);
}

}  // namespace local
