#include "index/handle_index.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>

#include "index/beneath.h"

namespace {

// How far up a directory is looked for: clients can nest them without end.
constexpr int kMostHealed = 256;

// How many hashes may come before it is looked how many of them are needed; besides as many again.
constexpr size_t kSpareHashes = 65536;

// A name that the kernel could have made (FUSE allows 1024 bytes).
bool ValidName(std::string_view name) {
  return !name.empty() && name.size() <= 4096 && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

}  // namespace

HandleIndex::HandleIndex(std::shared_ptr<RootDirectory> root, HandleView root_handle,
                         uint32_t limit)
    : root_(std::move(root)), tree_(limit) {
  tree_.SetRoot(root_handle);
}

uint32_t HandleIndex::Intern(HandleView handle) {
  bool added;
  HandleView own = OwnPart(handle);
  uint32_t id = tree_.FindOrAdd(own, &added);
  if (added) hashes_.Add(id, own, false);
  return id;
}

void HandleIndex::Link(uint32_t parent, std::string_view name, uint32_t id) {
  if (!tree_.Link(parent, name, id) || !hashes_.with_parents()) return;
  if (tree_.KindOf(id) == Kind::kDirectory) return;
  hashes_.AddWithParent(id, tree_.HandleOf(id), tree_.HandleOf(parent));
  if (hashes_.used() > most_hashes_) Rehash();
}

void HandleIndex::AddKey(const ExportKey& key) {
  const ExportHashes::Added added = hashes_.AddKey(key);
  if (added == ExportHashes::Added::kNothing) return;
  AddHashes(added == ExportHashes::Added::kNewest);
}

void HandleIndex::AddHashes(bool newest) {
  for (uint32_t id = 0; id < tree_.size(); id++) {
    if (!tree_.InUse(id)) continue;
    const HandleView handle = tree_.HandleOf(id);
    if (newest)
      hashes_.AddNewest(id, handle, id == NameTree::kRoot);
    else
      hashes_.Add(id, handle, id == NameTree::kRoot);
    if (!hashes_.with_parents() || tree_.KindOf(id) == Kind::kDirectory) continue;
    tree_.ForEachParent(id, [&](uint32_t parent) {
      if (newest)
        hashes_.AddNewestWithParent(id, handle, tree_.HandleOf(parent));
      else
        hashes_.AddWithParent(id, handle, tree_.HandleOf(parent));
    });
  }
  most_hashes_ = 2 * hashes_.used() + kSpareHashes;
}

// Directories that objects were in once are forgotten: a client can move a file through as many as
// it likes.
void HandleIndex::Rehash() {
  hashes_.Clear();
  AddHashes(false);
}

bool HandleIndex::IsDirectory(uint32_t id) {
  struct statx status;
  if (tree_.KindOf(id) == Kind::kUnknown) Stat(id, &status);
  return tree_.KindOf(id) == Kind::kDirectory;
}

void HandleIndex::AbandonWalk() {
  walking_ = false;
  journal_.clear();
}

MergeCounts HandleIndex::MergeWalk(ScanLog* log, bool root_deleted) {
  MergeCounts counts = Merge(log, NameTree::kRoot);
  tree_.SetRootAlive(!root_deleted);
  tree_.BeginLate();
  walking_ = false;
  std::vector<Change> changes;
  changes.swap(journal_);
  for (const Change& change : changes) {
    if (change.what == Change::kLearn)
      Learn(change.parent.View(), change.name, change.object.View(), change.kind);
    else if (change.what == Change::kForget)
      Forget(change.parent.View(), change.name);
    else
      RefreshDirectory(change.parent.View());
  }
  return counts;
}

MergeCounts HandleIndex::Merge(ScanLog* log, uint32_t start) {
  MergeCounts counts;
  const uint64_t refused = tree_.refused();
  tree_.Reserve(log->entries());
  std::vector<uint32_t> directories{start};
  std::vector<bool> counted(tree_.size(), false);
  uint32_t current = start;
  ScanRecord record;
  while (log->Next(&record)) {
    switch (record.tag) {
      case ScanRecord::kBegin:
        current = directories[record.number];
        if (current != kNone) tree_.BeginListing(current);
        break;
      case ScanRecord::kEntry: {
        uint32_t id = Intern(record.handle);
        if (id == kNone || current == kNone) {
          if (record.kind == Kind::kDirectory) directories.push_back(kNone);
          break;
        }
        if (id >= counted.size()) counted.resize(id + 1 + id / 2, false);
        counts.objects += !counted[id];
        counted[id] = true;
        counts.names++;
        if (record.kind != Kind::kUnknown) tree_.SetKind(id, record.kind);
        if (record.kind == Kind::kDirectory) directories.push_back(id);
        Link(current, record.name, id);
        break;
      }
      case ScanRecord::kVanished:
        if (directories[record.number] != kNone)
          tree_.Unlink(directories[record.number], record.name);
        break;
      case ScanRecord::kEnd:
        if (record.number != 0 && current != kNone) tree_.EndListing(current);
        break;
    }
  }
  tree_.Settle();
  counts.refused = tree_.refused() - refused;
  return counts;
}

bool HandleIndex::Learn(HandleView parent, std::string_view name, HandleView object, Kind kind) {
  if (!ValidName(name)) return false;
  if (walking_)
    journal_.push_back(
        {Change::kLearn, HandleCopy(parent), std::string(name), HandleCopy(object), kind});
  // FAN_MARK_FILESYSTEM reports the whole file system: most parents may be outside this root.
  uint32_t directory = IdOfHandle(parent);
  if (directory == kNone) return false;
  uint32_t id = Intern(object);
  if (id == kNone) return false;
  if (kind != Kind::kUnknown) tree_.SetKind(id, kind);
  Link(directory, name, id);
  tree_.Settle();
  return true;
}

bool HandleIndex::Forget(HandleView parent, std::string_view name) {
  if (walking_)
    journal_.push_back(
        {Change::kForget, HandleCopy(parent), std::string(name), {}, Kind::kUnknown});
  uint32_t directory = IdOfHandle(parent);
  bool known = directory != kNone && tree_.Unlink(directory, name);
  tree_.Settle();
  return known;
}

int HandleIndex::OpenVerified(uint32_t id, int flags) {
  if (tree_.Gone(id)) return -1;
  HandleReader reader;
  for (const std::string& path : tree_.Paths(id)) {
    int fd = OpenBeneath(root_->fd(), path, flags);
    if (fd < 0) continue;
    if (reader.Read(fd, "", AT_EMPTY_PATH | root_->handle_flags()) &&
        OwnPart(reader.View()) == tree_.HandleOf(id))
      return fd;
    close(fd);
  }
  return -1;
}

bool HandleIndex::Stat(uint32_t id, struct statx* status, std::string* target) {
  int fd = OpenVerified(id, O_PATH | O_NOFOLLOW);
  if (fd < 0) return false;
  bool ok = statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, status) == 0 &&
            status->stx_nlink != 0;
  if (ok && target != nullptr && S_ISLNK(status->stx_mode)) {
    char bytes[PATH_MAX];
    const ssize_t length = readlinkat(fd, "", bytes, sizeof bytes);
    ok = length >= 0;
    if (ok) target->assign(bytes, static_cast<size_t>(length));
  }
  close(fd);
  if (ok) tree_.SetKind(id, S_ISDIR(status->stx_mode) ? Kind::kDirectory : Kind::kOther);
  return ok;
}

bool HandleIndex::Relist(uint32_t id, int fd, const std::vector<std::string>* names) {
  const std::atomic<bool> cancelled{false};
  ScanLog log;
  ScanCounts counts;
  // Below: only what has never been listed, or came back from outside.
  Walker walker(
      root_->handle_flags(),
      [this](HandleView handle) {
        uint32_t child = IdOfHandle(handle);
        return child == kNone || !tree_.Listed(child) || tree_.Gone(child);
      },
      &cancelled);
  int error =
      names == nullptr ? walker.Run(fd, &log, &counts) : walker.RunNames(fd, *names, &log, &counts);
  if (error != 0) return false;
  Merge(&log, id);
  return names != nullptr || counts.directories != 0;
}

// The nearest directory above `id` that is still where it was is listed again: it knows better.
bool HandleIndex::Heal(uint32_t id) {
  int tries = kMostHealed;
  for (uint32_t at = tree_.ParentOf(id); at != kNone && tries-- > 0; at = tree_.ParentOf(at)) {
    int fd = OpenVerified(at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd >= 0) return Relist(at, fd);
  }
  return false;
}

int HandleIndex::OpenDirectory(HandleView handle, uint32_t* id) {
  *id = IdOfHandle(handle);
  if (*id == kNone) return -1;
  if (*id == NameTree::kRoot) tree_.SetRootAlive(!root_->Deleted());
  int fd = OpenVerified(*id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd < 0 && Heal(*id)) fd = OpenVerified(*id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd >= 0) tree_.SetKind(*id, Kind::kDirectory);
  return fd;
}

bool HandleIndex::RefreshDirectory(HandleView handle) {
  if (walking_) journal_.push_back({Change::kRefresh, HandleCopy(handle), {}, {}, Kind::kUnknown});
  uint32_t id;
  int fd = OpenDirectory(handle, &id);
  return fd >= 0 && Relist(id, fd);
}

bool HandleIndex::RefreshNames(HandleView handle, const std::vector<std::string>& names) {
  if (walking_) journal_.push_back({Change::kRefresh, HandleCopy(handle), {}, {}, Kind::kUnknown});
  uint32_t id;
  int fd = OpenDirectory(handle, &id);
  if (fd < 0) return false;
  std::vector<std::string> valid;
  for (const std::string& name : names)
    if (ValidName(name)) valid.push_back(name);
  return Relist(id, fd, &valid);
}

std::vector<uint32_t> HandleIndex::Prune() {
  if (walking_) return {};
  if (!hashes_.with_parents())
    return tree_.Prune([this](uint32_t id) { hashes_.Remove(id, tree_.HandleOf(id), false); });
  // What directories it was in is not known any more, and its id will be another object's.
  std::vector<uint32_t> pruned = tree_.Prune([](uint32_t) {});
  if (!pruned.empty()) Rehash();
  return pruned;
}
