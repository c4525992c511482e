// See tree_binding.h.
#include "archive/tree_binding.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive/object_states.h"
#include "archive/paths_worker.h"
#include "archive/survey.h"
#include "archive/symlink_walk.h"
#include "error.h"

namespace {

std::string PathOf(const Napi::Value& value) {
  const auto buffer = value.As<Napi::Buffer<char>>();
  return std::string(buffer.Data(), buffer.Length());
}

Napi::Value Throw(Napi::Env env, int err, const char* syscall, const std::string& subject) {
  SystemError(env, err, syscall, subject).ThrowAsJavaScriptException();
  return env.Undefined();
}

class SymlinkWorker : public Napi::AsyncWorker {
 public:
  SymlinkWorker(Napi::Env env, const RootTree& tree)
      : Napi::AsyncWorker(env, "nfsroot-trace:symlinks"),
        deferred_(Napi::Promise::Deferred::New(env)) {
    if (!tree_.OpenSame(tree)) walk_.err = errno;
  }
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    if (walk_.err == 0) WalkSymlinks(&tree_, &walk_);
  }
  void OnOK() override {
    if (walk_.err != 0)
      return deferred_.Reject(SystemError(Env(), walk_.err, "openat2", walk_.subject).Value());
    const auto copy = [this](const std::string& flat) {
      return Napi::Buffer<char>::Copy(Env(), flat.data(), flat.size());
    };
    auto result = Napi::Object::New(Env());
    result["links"] = copy(walk_.flat);
    result["directories"] = copy(walk_.directories);
    deferred_.Resolve(result);
  }

 private:
  RootTree tree_;
  SymlinkWalk walk_;
  Napi::Promise::Deferred deferred_;
};

class SurveyWorker : public PathsWorker {
 public:
  SurveyWorker(Napi::Env env, const RootTree& tree, std::string flat)
      : PathsWorker(env, "nfsroot-trace:survey", tree, std::move(flat)) {
    auto rows = Napi::Float64Array::New(env, count() * kSurveyFields);
    data_ = rows.Data();
    rows_ = Napi::Persistent(rows.As<Napi::Object>());
  }

 protected:
  void Take(RootTree* tree, std::string_view paths, size_t first) override {
    Survey(tree, paths, data_ + first * kSurveyFields);
  }
  Napi::Value Result() override { return rows_.Value(); }

 private:
  double* data_;
  Napi::ObjectReference rows_;  // keeps `data_` alive
};

class StatesWorker : public PathsWorker {
 public:
  StatesWorker(Napi::Env env, const RootTree& tree, std::string flat)
      : PathsWorker(env, "nfsroot-trace:states", tree, std::move(flat)),
        states_(new ObjectState[count()]) {}

 protected:
  void Take(RootTree* tree, std::string_view paths, size_t first) override {
    StatesSeen seen;
    LookAtStates(tree, paths, &states_[first], &seen);
    const std::lock_guard<std::mutex> lock(mutex_);
    seen_.newest = std::max(seen_.newest, seen.newest);
    seen_.foreign |= seen.foreign;
  }
  Napi::Value Result() override {
    auto result = Napi::Object::New(Env());
    const size_t length = count() * sizeof(ObjectState);
    const auto free = [](Napi::Env, void* states) { delete[] static_cast<ObjectState*>(states); };
    result["states"] = Napi::ArrayBuffer::New(Env(), states_.release(), length, free);
    result["newest"] = static_cast<double>(seen_.newest);
    result["foreign"] = seen_.foreign;
    return result;
  }

 private:
  std::unique_ptr<ObjectState[]> states_;
  std::mutex mutex_;
  StatesSeen seen_;
};

// Looks, on worker threads, at the paths of a call's first argument, which each end by a NUL.
template <class Worker>
Napi::Value StartOn(const RootTree& tree, const Napi::CallbackInfo& info) {
  std::string flat = PathOf(info[0]);
  if (!flat.empty() && flat.back() != '\0') return Throw(info.Env(), EINVAL, "statx", "");
  auto* const worker = new Worker(info.Env(), tree, std::move(flat));
  const Napi::Promise promise = worker->Promise();
  worker->Queue();
  return promise;
}

}  // namespace

Napi::Function TreeBinding::Define(Napi::Env env) {
  return DefineClass(env, "RootTree",
                     {
                         InstanceMethod("open", &TreeBinding::Open),
                         InstanceMethod("close", &TreeBinding::Close),
                         InstanceMethod("mountIds", &TreeBinding::MountIds),
                         InstanceMethod("stat", &TreeBinding::Stat),
                         InstanceMethod("readLink", &TreeBinding::ReadLink),
                         InstanceMethod("list", &TreeBinding::List),
                         InstanceMethod("read", &TreeBinding::Read),
                         InstanceMethod("attributes", &TreeBinding::Attributes),
                         InstanceMethod("attribute", &TreeBinding::Attribute),
                         InstanceMethod("survey", &TreeBinding::LookInto),
                         InstanceMethod("states", &TreeBinding::LookAt),
                         InstanceMethod("symlinks", &TreeBinding::Symlinks),
                     });
}

Napi::Value TreeBinding::Open(const Napi::CallbackInfo& info) {
  const std::string path = PathOf(info[0]);
  if (!tree_.Open(path.c_str()))
    return Throw(info.Env(), errno, errno == ENOSYS ? "openat2" : "open", path);
  const Napi::Array mounts = info[1].As<Napi::Array>();
  for (uint32_t at = 0; at < mounts.Length(); at++) {
    const std::string mount = PathOf(mounts.Get(at));
    if (tree_.Enter(mount)) continue;
    const int error = errno;
    tree_.Close();
    return Throw(info.Env(), error, "openat2", mount);
  }
  return info.Env().Undefined();
}

Napi::Value TreeBinding::Close(const Napi::CallbackInfo& info) {
  tree_.Close();
  return info.Env().Undefined();
}

// mountIds() -> a BigUint64Array, or undefined where the kernel has no such numbers.
Napi::Value TreeBinding::MountIds(const Napi::CallbackInfo& info) {
  std::vector<uint64_t> ids;
  if (!tree_.MountIds(&ids)) {
    if (errno == EOPNOTSUPP) return info.Env().Undefined();
    return Throw(info.Env(), errno, "statx", "");
  }
  auto result = Napi::BigUint64Array::New(info.Env(), ids.size());
  std::copy(ids.begin(), ids.end(), result.Data());
  return result;
}

// stat(path, fields: Float64Array) fills the fields and returns 0, or returns the errno: paths
// that are not there are usual while a plan is made, and an exception costs ten times the call.
Napi::Value TreeBinding::Stat(const Napi::CallbackInfo& info) {
  const std::string path = PathOf(info[0]);
  auto fields = info[1].As<Napi::Float64Array>();
  if (fields.ElementLength() < kStatFields) return Throw(info.Env(), EINVAL, "statx", path);
  struct statx st;
  if (!tree_.Stat(path, &st)) return Napi::Number::New(info.Env(), errno);
  FillStat(st, tree_.IsForeign(path, st), fields.Data());
  return Napi::Number::New(info.Env(), 0);
}

Napi::Value TreeBinding::ReadLink(const Napi::CallbackInfo& info) {
  const std::string path = PathOf(info[0]);
  const char* name;
  char target[PATH_MAX + 1];
  const int parent = tree_.Parent(path, &name);
  if (parent < 0) return Throw(info.Env(), errno, "openat2", path);
  const ssize_t length = readlinkat(parent, name, target, sizeof target);
  if (length < 0) return Throw(info.Env(), errno, "readlinkat", path);
  return Napi::Buffer<char>::Copy(info.Env(), target, static_cast<size_t>(length));
}

// list(path, most) -> the names, each ended by a NUL, in bytewise order; E2BIG if there are more.
Napi::Value TreeBinding::List(const Napi::CallbackInfo& info) {
  const std::string path = PathOf(info[0]);
  const double most = info[1].As<Napi::Number>().DoubleValue();
  const int fd = tree_.OpenDirectory(path);
  if (fd < 0) return Throw(info.Env(), errno, "openat2", path);
  DIR* const directory = fdopendir(fd);
  if (directory == nullptr) {
    const int err = errno;
    close(fd);
    return Throw(info.Env(), err, "fdopendir", path);
  }
  std::vector<std::string> names;
  for (errno = 0;; errno = 0) {
    const struct dirent* const entry = readdir(directory);
    if (entry == nullptr) break;
    const std::string name(entry->d_name);
    if (name == "." || name == "..") continue;
    if (static_cast<double>(names.size()) >= most) {
      errno = E2BIG;
      break;
    }
    names.push_back(name);
  }
  const int err = errno;
  closedir(directory);
  if (err != 0) return Throw(info.Env(), err, "getdents64", path);
  std::sort(names.begin(), names.end());
  std::string flat;
  for (const std::string& name : names) flat.append(name).push_back('\0');
  return Napi::Buffer<char>::Copy(info.Env(), flat.data(), flat.size());
}

// read(path, offset, length) -> the bytes there, fewer at the end of the file.
Napi::Value TreeBinding::Read(const Napi::CallbackInfo& info) {
  const std::string path = PathOf(info[0]);
  const off_t offset = info[1].As<Napi::Number>().Int64Value();
  const size_t length = info[2].As<Napi::Number>().Uint32Value();
  const int fd = tree_.OpenFile(path);
  if (fd < 0) return Throw(info.Env(), errno, "openat", path);
  const std::unique_ptr<char[]> data(new char[length]);
  size_t done = 0;
  ssize_t count = 1;
  while (done < length && count != 0) {
    count = pread(fd, data.get() + done, length - done, offset + static_cast<off_t>(done));
    if (count < 0 && errno != EINTR) break;
    if (count > 0) done += static_cast<size_t>(count);
  }
  const int err = errno;
  close(fd);
  if (count < 0) return Throw(info.Env(), err, "pread", path);
  return Napi::Buffer<char>::Copy(info.Env(), data.get(), done);
}

// Empty, with errno, if there is none.
std::string TreeBinding::AttributesOf(const std::string& path) {
  const char* name;
  const int parent = tree_.Parent(path, &name);
  return parent < 0 ? "" : WayTo(parent, name);
}

// attributes(path) -> the names of its extended attributes, each ended by a NUL, or undefined for
// none: nearly every file, and a Buffer costs as much as the system call.
Napi::Value TreeBinding::Attributes(const Napi::CallbackInfo& info) {
  const std::string path = PathOf(info[0]);
  const std::string way = AttributesOf(path);
  if (way.empty()) return Throw(info.Env(), errno, "openat2", path);
  char names[4096];
  ssize_t length = llistxattr(way.c_str(), names, sizeof names);
  if (length == 0 || (length < 0 && errno == ENOTSUP)) return info.Env().Undefined();
  if (length > 0) return Napi::Buffer<char>::Copy(info.Env(), names, static_cast<size_t>(length));
  if (errno != ERANGE) return Throw(info.Env(), errno, "llistxattr", path);
  std::string many(XATTR_LIST_MAX, '\0');
  length = llistxattr(way.c_str(), &many[0], many.size());
  if (length < 0) return Throw(info.Env(), errno, "llistxattr", path);
  return Napi::Buffer<char>::Copy(info.Env(), many.data(), static_cast<size_t>(length));
}

// attribute(path, name) -> the bytes of one, or undefined if it is there no more. The kernel lets
// none be longer than XATTR_SIZE_MAX (64 KiB); a file system that does is an error (ERANGE).
Napi::Value TreeBinding::Attribute(const Napi::CallbackInfo& info) {
  const std::string path = PathOf(info[0]);
  const std::string name = PathOf(info[1]);
  const std::string way = AttributesOf(path);
  if (way.empty()) return Throw(info.Env(), errno, "openat2", path);
  const std::unique_ptr<char[]> value(new char[XATTR_SIZE_MAX]);
  const ssize_t length = lgetxattr(way.c_str(), name.c_str(), value.get(), XATTR_SIZE_MAX);
  if (length < 0 && errno == ENODATA) return info.Env().Undefined();
  if (length < 0) return Throw(info.Env(), errno, "lgetxattr", path);
  return Napi::Buffer<char>::Copy(info.Env(), value.get(), static_cast<size_t>(length));
}

// symlinks() -> Promise of {links, directories}, each flat as symlink_walk.h has them.
Napi::Value TreeBinding::Symlinks(const Napi::CallbackInfo& info) {
  auto* const worker = new SymlinkWorker(info.Env(), tree_);
  const Napi::Promise promise = worker->Promise();
  worker->Queue();
  return promise;
}

// survey(paths) -> Promise of a Float64Array with a row of survey.h for each path.
Napi::Value TreeBinding::LookInto(const Napi::CallbackInfo& info) {
  return StartOn<SurveyWorker>(tree_, info);
}

// states(paths) -> Promise of {states: an ArrayBuffer with one of object_states.h for each path,
// newest: number, foreign: boolean}.
Napi::Value TreeBinding::LookAt(const Napi::CallbackInfo& info) {
  return StartOn<StatesWorker>(tree_, info);
}
