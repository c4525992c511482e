// See tree_binding.h.
#include "archive/tree_binding.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

struct Half {
  RootTree* tree;
  std::string_view paths;
  bool inside;
  double* rows;
};

void* SurveyHalf(void* given) {
  const Half& half = *static_cast<Half*>(given);
  Survey(half.tree, half.paths, half.inside, half.rows);
  return nullptr;
}

// On two threads: who waits for this can do nothing else meanwhile.
class SurveyWorker : public Napi::AsyncWorker {
 public:
  SurveyWorker(Napi::Env env, const RootTree& tree, std::string flat, bool inside)
      : Napi::AsyncWorker(env, "nfsroot-trace:survey"),
        flat_(std::move(flat)),
        inside_(inside),
        deferred_(Napi::Promise::Deferred::New(env)) {
    const auto count = static_cast<size_t>(std::count(flat_.begin(), flat_.end(), '\0'));
    auto rows = Napi::Float64Array::New(env, count * kSurveyFields);
    data_ = rows.Data();
    rows_ = Napi::Persistent(rows.As<Napi::Object>());
    if (!tree_.OpenSame(tree) || !other_.OpenSame(tree)) err_ = errno;
  }
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    if (err_ == 0) {
      const std::string_view all(flat_);
      const size_t middle = all.find('\0', all.size() / 2) + 1;
      const std::string_view first = all.substr(0, middle);
      const auto before = static_cast<size_t>(std::count(first.begin(), first.end(), '\0'));
      Half second{&other_, all.substr(middle), inside_, data_ + before * kSurveyFields};
      pthread_t thread;
      // Where no more threads are allowed, both are done here.
      const bool together = pthread_create(&thread, nullptr, SurveyHalf, &second) == 0;
      Survey(&tree_, first, inside_, data_);
      if (together)
        pthread_join(thread, nullptr);
      else
        SurveyHalf(&second);
    }
    tree_.Close();
    other_.Close();
  }
  void OnOK() override {
    if (err_ != 0)
      deferred_.Reject(SystemError(Env(), err_, "fcntl").Value());
    else
      deferred_.Resolve(rows_.Value());
  }

 private:
  RootTree tree_;
  RootTree other_;
  const std::string flat_;
  const bool inside_;
  double* data_ = nullptr;
  Napi::ObjectReference rows_;  // keeps `data_` alive
  Napi::Promise::Deferred deferred_;
  int err_ = 0;
};

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
                         InstanceMethod("survey", &TreeBinding::LookAt),
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
  FillStat(st, IsForeign(tree_, path, st), fields.Data());
  return Napi::Number::New(info.Env(), 0);
}

Napi::Value TreeBinding::ReadLink(const Napi::CallbackInfo& info) {
  const std::string path = PathOf(info[0]);
  std::string name;
  char target[PATH_MAX + 1];
  const int parent = tree_.Parent(path, &name);
  if (parent < 0) return Throw(info.Env(), errno, "openat2", path);
  const ssize_t length = readlinkat(parent, name.c_str(), target, sizeof target);
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
  std::string name;
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

// survey(paths, inside: boolean) -> Promise of a Float64Array with a row of survey.h for each path,
// which each end by a NUL.
Napi::Value TreeBinding::LookAt(const Napi::CallbackInfo& info) {
  std::string flat = PathOf(info[0]);
  if (!flat.empty() && flat.back() != '\0') return Throw(info.Env(), EINVAL, "survey", "");
  auto* const worker =
      new SurveyWorker(info.Env(), tree_, std::move(flat), info[1].As<Napi::Boolean>().Value());
  const Napi::Promise promise = worker->Promise();
  worker->Queue();
  return promise;
}
