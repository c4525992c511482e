// What the world's init tells the tool: records on a socket. Owns its end of it and the bytes that
// it does not take yet. Must not know what is watched, nor where the records go.
//
// A record: three little-endian 32-bit numbers (kind, value, size), then `size` bytes.
// src/capture/local/records.ts reads them.
#pragma once
#include <cstdint>
#include <string>

namespace local {

enum class Kind : uint32_t {
  kAccess = 1,     // value: fanotify mask, kCreated; bytes: path in the root
  kUnwatched = 2,  // a mount of the root that cannot be watched; value: errno; bytes: its path
  kMissing = 3,    // what a root should have and this one lacks; bytes: its path
  kReady = 4,      // the world is made; bytes: the program that waits for leave to begin
  kLost = 5,       // value: how often events were lost: the kernel's queue was full
  kGone = 6,       // value: accesses to what no longer had a path
  kEnd = 7,        // value: wait status of the command; nothing comes after it
  kFailed = 8,     // value: errno; bytes: what failed; nothing comes after it
  kDropped = 9,    // value: reports that the tool did not take in time; just before the end
};

// In the value of kAccess, beside the kernel's own bits: made by this run itself.
constexpr uint32_t kCreated = 0x80000000u;

class Report {
 public:
  explicit Report(int fd) : fd_(fd) {}

  // Waits for room, but not for a tool that stands still: then this is dropped, and counted.
  void Add(Kind kind, uint32_t value, const std::string& bytes = {});
  bool pending() const { return sent_ < buffer_.size(); }
  // Writes what the channel takes. Ends the process if nobody reads any more: with init, the world.
  void Send();
  // Writes all, waiting.
  void Finish();
  // Tells what was dropped and how the command ended, and finishes.
  void End(int status);

 private:
  void Put(Kind kind, uint32_t value, const std::string& bytes);
  // False: the tool stands still.
  bool MakeRoom();
  // Until the channel takes something; false if the time was over before.
  bool Wait(int ms) const;

  const int fd_;
  std::string buffer_;
  size_t sent_ = 0;
  bool stands_still_ = false;
  uint32_t dropped_ = 0;
};

}  // namespace local
