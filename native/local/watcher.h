// What the processes of this pid namespace do with the files of the root. Owns the fanotify group
// and what this run has made. Must not know the command, the pipe's format or sessions.
//
// Who did it: a process id in an event is given as the reader's pid namespace has it, and is 0 for
// whoever is in none of its (pid_vnr(), fs/notify/fanotify/fanotify_user.c). The reader is init of
// the run's own namespace, so all events of the run have a number, of processes that have long
// ended and of namespaces within it too, and no other has one.
#pragma once
#include <sys/fanotify.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "local/file_systems.h"
#include "local/mounts.h"
#include "local/report.h"

namespace local {

class Watcher {
 public:
  Watcher(int proc_fd, Report* report) : report_(report), files_(proc_fd) {}

  // Watches the file systems of the root's mounts; false, with errno, if the root's own cannot be.
  bool Start(const std::vector<Mount>& mounts);
  int fd() const { return fanotify_fd_; }
  // Takes what is in the queue now: what was done before has been reported then.
  void Drain();

 private:
  // The events in the buffer; their number.
  int TakeAll(size_t size);
  void Take(const fanotify_event_metadata& event, const uint8_t* info, size_t size);
  // Made by this run, and not one more name of something older?
  bool IsNew(const std::string& path) const;
  void NoteNew(const fan::EventInfo& info, const std::string& path);

  Report* const report_;
  FileSystems files_;
  int fanotify_fd_ = -1;
  int64_t started_ns_ = 0;
  std::unordered_set<std::string> made_;
  std::vector<uint8_t> buffer_;
};

}  // namespace local
