// Which file systems are marked, and by which paths they are known.
// Owns the list of one fanotify descriptor's marks. Must not know threads, events' meaning or
// JavaScript; whoever uses it serialises access.
#pragma once
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "fanotify/event_info.h"
#include "fanotify/failure.h"

namespace fan {

using Fsid = std::array<uint8_t, 8>;

// What tells two file systems apart. Of a btrfs it is its top level's: subvolumes have their own
// device numbers and fsids, but one mark and one fsid in events.
struct Identity {
  dev_t dev = 0;
  Fsid fsid{};
  bool operator==(const Identity& other) const { return dev == other.dev && fsid == other.fsid; }
};

// One watched file system as a sync round needs it: a copy, so that no lock is held meanwhile.
class WatchTarget {
 public:
  enum class Touched { kYes, kGone, kNo };

  WatchTarget(uint64_t id, const Identity& identity, std::vector<std::string> paths)
      : id_(id), identity_(identity), paths_(std::move(paths)) {}

  uint64_t id() const { return id_; }

  // Opens and closes the watched directory, read-only, which queues an event. The first path
  // that still leads to the file system serves.
  Touched Touch();

  // Whether the event is about the directory touched last.
  bool Is(const EventInfo& event) const;

 private:
  struct Handle {
    int32_t type;
    std::string bytes;
  };
  void NoteHandle(int fd, int flags);

  uint64_t id_;
  Identity identity_;
  std::vector<std::string> paths_;
  std::vector<Handle> handles_;
};

// The calls that may block on a hung file system; they take no part in the list's state.
Failure MarkFileSystem(int fanotify_fd, const std::string& path, Identity* out);
// Nothing is done if the path leads elsewhere by now: then the file system was unmounted, and
// its mark went with it, or only closing the descriptor removes it.
void UnmarkFileSystem(int fanotify_fd, const std::string& path, const Identity& identity);

class WatchList {
 public:
  // Notes one more use of a marked file system by this path.
  void Add(const std::string& path, const Identity& identity);

  // Undoes one Add of the same path. False if there was none. *unused: it was the file system's
  // last, and the mark of *identity is to be removed.
  bool Remove(const std::string& path, bool* unused, Identity* identity);

  std::vector<WatchTarget> Targets() const;

  // Whether this is the first report that the watch of this id is blind; false if it has been
  // removed.
  bool NoteBlind(uint64_t id);

 private:
  struct Watch {
    uint64_t id;
    Identity identity;
    bool blind;
    std::vector<std::string> paths;
  };
  std::vector<Watch> watches_;
  uint64_t last_id_ = 0;
};

}  // namespace fan
