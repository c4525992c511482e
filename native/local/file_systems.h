// The file systems of a root that are watched, and the paths of their objects in the root. Owns the
// descriptors through which handles are opened and the remembered paths of directories. Must not
// know events.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "fanotify/event_info.h"

namespace local {

// What a handle stands for is told apart by its file system, type and bytes.
std::string KeyOf(const uint8_t* fsid, const fan::HandleView& handle);

struct Place {
  enum { kInRoot, kOutside, kGone } where = kGone;
  std::string path;  // absolute in the root; empty elsewhere
};

class FileSystems {
 public:
  // `proc_fd`: a procfs of this process's pid namespace.
  explicit FileSystems(int proc_fd) : proc_fd_(proc_fd) {}

  // Marks the whole file system that is mounted at `path`. False with errno if its events cannot be
  // had or its handles cannot be opened, or if a device, socket or pipe is mounted there.
  bool Watch(int fanotify_fd, uint64_t mask, const std::string& path);

  // Where a directory is. Outside of the root is what a process was handed when it began.
  const Place& PlaceOf(const uint8_t* fsid, const fan::HandleView& directory);

  // A directory was moved or removed: other paths than its own have changed too.
  void ForgetPaths() { places_.clear(); }

 private:
  Place Resolve(const uint8_t* fsid, const fan::HandleView& directory) const;
  Place ReadPlace(int fd) const;

  const int proc_fd_;
  // For each fsid a descriptor in every mount of it: an object may lie in one of them only.
  std::unordered_map<std::string, std::vector<int>> mounts_;
  std::unordered_map<std::string, Place> places_;
};

}  // namespace local
