#include "local/report.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace local {

namespace {

// Beyond this, reading waits for a tool that is slow: the kernel's queue then holds what comes.
constexpr size_t kMostPending = 16 * 1024 * 1024;
// One that takes nothing for so long stands still. That queue has no bound, and what all processes
// do with the file systems is in it, so it is read on, and what there is no room for is counted.
// (With a bound of the kernel's, 16384 events, it overflows for less: eight processes that open
// 50,000 files on two busy processors.)
constexpr int kPatienceMs = 2000;

void Append(std::string* to, uint32_t number) {
  for (int shift = 0; shift < 32; shift += 8) to->push_back(static_cast<char>(number >> shift));
}

}  // namespace

void Report::Add(Kind kind, uint32_t value, const std::string& bytes) {
  if (MakeRoom())
    Put(kind, value, bytes);
  else if (dropped_ < UINT32_MAX)
    dropped_++;
}

void Report::End(int status) {
  if (dropped_ > 0) Put(Kind::kDropped, dropped_, {});
  Put(Kind::kEnd, static_cast<uint32_t>(status), {});
  Finish();
}

void Report::Put(Kind kind, uint32_t value, const std::string& bytes) {
  Append(&buffer_, static_cast<uint32_t>(kind));
  Append(&buffer_, value);
  Append(&buffer_, static_cast<uint32_t>(bytes.size()));
  buffer_ += bytes;
}

bool Report::MakeRoom() {
  while (buffer_.size() - sent_ > kMostPending) {
    if (!Wait(stands_still_ ? 0 : kPatienceMs)) {
      stands_still_ = true;
      return false;
    }
    Send();
  }
  stands_still_ = false;
  return true;
}

void Report::Send() {
  while (pending()) {
    const ssize_t wrote =
        send(fd_, buffer_.data() + sent_, buffer_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) return;
    if (wrote < 0) _exit(1);
    sent_ += static_cast<size_t>(wrote);
    // A tool that is always behind never takes the last byte.
    if (sent_ < buffer_.size() / 2) continue;
    buffer_.erase(0, sent_);
    sent_ = 0;
  }
}

void Report::Finish() {
  for (Send(); pending(); Send()) Wait(-1);
}

bool Report::Wait(int ms) const {
  pollfd room{fd_, POLLOUT, 0};
  return poll(&room, 1, ms) != 0;
}

}  // namespace local
