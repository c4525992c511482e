// The addon's class NativeHandleIndex: argument shapes in, plain values out.
// Owns the HandleIndex of one root and its one walk on a libuv worker. Must not decide anything:
// src/fanotify-ts/handle-index.ts validates, queues walks and words the errors.
#include "index/index_binding.h"

#include <sys/sysmacros.h>
#include <time.h>

#include <atomic>
#include <memory>

#include "error.h"
#include "index/index_object.h"

namespace {

double NowUs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec / 1000);
}

// 64 bits reach from 1677 to 2262; tmpfs, btrfs and XFS keep times beyond, which any client can
// set.
int64_t Nanoseconds(const statx_timestamp& time) {
  int64_t ns;
  if (__builtin_mul_overflow(time.tv_sec, int64_t{1000000000}, &ns) ||
      __builtin_add_overflow(ns, int64_t{time.tv_nsec}, &ns))
    return time.tv_sec < 0 ? INT64_MIN : INT64_MAX;
  return ns;
}

// Execute() runs on a libuv worker and touches only what this object holds; the rest, on the
// JavaScript thread.
class WalkWorker : public Napi::AsyncWorker {
 public:
  WalkWorker(Napi::Env env, IndexBinding* binding, std::shared_ptr<std::atomic<bool>> cancelled)
      : Napi::AsyncWorker(env, "nfsroot-trace index walk"),
        binding_(binding),
        root_(binding->root()),
        cancelled_(std::move(cancelled)),
        deferred_(Napi::Promise::Deferred::New(env)) {
    binding_->Ref();
    binding_->index()->BeginWalk();
  }
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    started_us_ = NowUs();
    error_ = root_->Walk(&log_, &counts_, cancelled_.get());
    deleted_ = root_->Deleted();
  }

  void OnOK() override {
    Napi::Env env = Env();
    HandleIndex* index = binding_->index();
    if (index == nullptr) {
      error_ = ECANCELED;
    } else if (error_ != 0) {
      index->AbandonWalk();
    }
    if (error_ != 0) {
      binding_->Unref();
      deferred_.Reject(SystemError(env, error_, "walk").Value());
      return;
    }
    MergeCounts merged = index->MergeWalk(&log_, deleted_);
    Napi::Object summary = Napi::Object::New(env);
    auto set = [&](const char* name, double value) {
      summary.Set(name, Napi::Number::New(env, value));
    };
    set("objects", deleted_ ? 0 : merged.objects + 1.0);
    set("names", merged.names);
    set("directories", counts_.directories);
    set("unreadable", counts_.unreadable);
    set("refused", static_cast<double>(merged.refused));
    set("vanished", counts_.vanished);
    set("otherFileSystems", counts_.other_file_systems);
    set("collisions", index->hashes().collisions());
    set("tookUs", NowUs() - started_us_);
    set("bytes", static_cast<double>(index->Bytes()));
    binding_->Unref();
    deferred_.Resolve(summary);
  }

 private:
  IndexBinding* binding_;
  std::shared_ptr<RootDirectory> root_;
  std::shared_ptr<std::atomic<bool>> cancelled_;
  Napi::Promise::Deferred deferred_;
  ScanLog log_;
  ScanCounts counts_;
  double started_us_ = 0;
  int error_ = 0;
  bool deleted_ = false;
};

}  // namespace

Napi::Value IndexBinding::Open(const Napi::CallbackInfo& info) {
  std::string path(BytesOf(info[0]));
  uint32_t limit = info[1].As<Napi::Number>().Uint32Value();
  auto root = std::make_shared<RootDirectory>();
  // A tree that is not there, known by what is told of it: its root's handle.
  HandleView given;
  if (info[2].IsNumber() && HandleOf(info, 2, &given)) {
    root->Tell();
    root_ = root;
    index_ = std::make_unique<HandleIndex>(root, OwnPart(given), limit);
    return info.Env().Undefined();
  }
  const char* failed = "";
  int error = root->Open(path, &failed);
  HandleReader reader;
  if (error == 0 && !reader.Read(root->fd(), "", AT_EMPTY_PATH | root->handle_flags())) {
    error = errno;
    failed = "name_to_handle_at";
  }
  if (error != 0) {
    SystemError(info.Env(), error, failed, path).ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  root_ = root;
  index_ = std::make_unique<HandleIndex>(root, OwnPart(reader.View()), limit);
  return info.Env().Undefined();
}

Napi::Value IndexBinding::Walk(const Napi::CallbackInfo& info) {
  auto* worker = new WalkWorker(info.Env(), this, cancelled_);
  worker->Queue();
  return worker->Promise();
}

Napi::Value IndexBinding::AddExportKey(const Napi::CallbackInfo& info) {
  ExportKey key;
  key.fsid_type = static_cast<uint8_t>(info[0].As<Napi::Number>().Uint32Value());
  key.fsid = std::string(BytesOf(info[1]));
  HandleView root;
  key.with_parents = info[2].As<Napi::Boolean>().Value();
  if (info[3].IsNumber() && HandleOf(info, 3, &root)) key.root = HandleCopy(OwnPart(root));
  index_->AddKey(key);
  return info.Env().Undefined();
}

Napi::Value IndexBinding::ExportKeys(const Napi::CallbackInfo& info) {
  Napi::Array keys = Napi::Array::New(info.Env());
  for (const ExportKey& key : index_->hashes().keys()) {
    Napi::Object object = Napi::Object::New(info.Env());
    object.Set("fsidType", Napi::Number::New(info.Env(), key.fsid_type));
    object.Set("fsid", Bytes(info.Env(), key.fsid));
    keys.Set(keys.Length(), object);
  }
  return keys;
}

Napi::Value IndexBinding::IdsOfHash(const Napi::CallbackInfo& info) {
  Napi::Array ids = Napi::Array::New(info.Env());
  for (uint32_t id : index_->hashes().Find(info[0].As<Napi::Number>().Uint32Value()))
    ids.Set(ids.Length(), Napi::Number::New(info.Env(), id));
  return ids;
}

Napi::Value IndexBinding::IdOfHandle(const Napi::CallbackInfo& info) {
  HandleView handle;
  uint32_t id = HandleOf(info, 0, &handle) ? index_->IdOfHandle(handle) : kNone;
  return Napi::Number::New(info.Env(), id == kNone ? -1.0 : id);
}

bool IndexBinding::Id(const Napi::CallbackInfo& info, uint32_t* id) {
  double number = info[0].As<Napi::Number>().DoubleValue();
  *id = static_cast<uint32_t>(number);
  if (number >= 0 && *id == number && index_->tree().InUse(*id)) return true;
  Napi::RangeError::New(info.Env(), "no object has this id").ThrowAsJavaScriptException();
  return false;
}

Napi::Value IndexBinding::GetHandle(const Napi::CallbackInfo& info) {
  uint32_t id;
  if (!Id(info, &id)) return info.Env().Undefined();
  HandleView handle = index_->tree().HandleOf(id);
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("type", Napi::Number::New(info.Env(), handle.type));
  object.Set("bytes",
             Bytes(info.Env(), {reinterpret_cast<const char*>(handle.bytes), handle.size}));
  return object;
}

Napi::Value IndexBinding::PathsOf(const Napi::CallbackInfo& info) {
  uint32_t id;
  if (!Id(info, &id)) return info.Env().Undefined();
  Napi::Array paths = Napi::Array::New(info.Env());
  bool left_out = false;
  for (const std::string& path : index_->tree().Paths(id, &left_out))
    paths.Set(paths.Length(), Bytes(info.Env(), path));
  if (left_out) left_out_++;
  return paths;
}

Napi::Value IndexBinding::IsGone(const Napi::CallbackInfo& info) {
  uint32_t id = info[0].As<Napi::Number>().Uint32Value();
  // One that was forgotten was gone before.
  if (id < index_->tree().size() && !index_->tree().InUse(id))
    return Napi::Boolean::New(info.Env(), true);
  if (!Id(info, &id)) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), index_->tree().Gone(id));
}

Napi::Value IndexBinding::ChildOf(const Napi::CallbackInfo& info) {
  uint32_t id;
  if (!Id(info, &id)) return info.Env().Undefined();
  uint32_t child = index_->tree().Child(id, BytesOf(info[1]));
  return Napi::Number::New(info.Env(), child == kNone ? -1.0 : child);
}

Napi::Value IndexBinding::IsDirectory(const Napi::CallbackInfo& info) {
  uint32_t id;
  if (!Id(info, &id)) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), index_->IsDirectory(id));
}

Napi::Value IndexBinding::StatOf(const Napi::CallbackInfo& info) {
  uint32_t id;
  struct statx status;
  std::string target;
  if (!Id(info, &id)) return info.Env().Undefined();
  if (!index_->Stat(id, &status, &target)) return info.Env().Null();
  Napi::Env env = info.Env();
  Napi::Object object = Napi::Object::New(env);
  auto set = [&](const char* name, double value) {
    object.Set(name, Napi::Number::New(env, value));
  };
  set("dev", static_cast<double>(makedev(status.stx_dev_major, status.stx_dev_minor)));
  object.Set("inode", Napi::BigInt::New(env, static_cast<uint64_t>(status.stx_ino)));
  set("mode", status.stx_mode);
  set("uid", status.stx_uid);
  set("gid", status.stx_gid);
  set("size", static_cast<double>(status.stx_size));
  object.Set("mtimeNs", Napi::BigInt::New(env, Nanoseconds(status.stx_mtime)));
  object.Set("ctimeNs", Napi::BigInt::New(env, Nanoseconds(status.stx_ctime)));
  set("nlink", status.stx_nlink);
  // 0 where the file system keeps none.
  bool has_birth = (status.stx_mask & STATX_BTIME) != 0;
  object.Set("birthNs", Napi::BigInt::New(env, has_birth ? Nanoseconds(status.stx_btime) : 0));
  set("rdev", static_cast<double>(makedev(status.stx_rdev_major, status.stx_rdev_minor)));
  if (S_ISLNK(status.stx_mode))
    object.Set("target", Napi::Buffer<char>::Copy(env, target.data(), target.size()));
  return object;
}

// accessedIn(first, count, sinceNs, untilNs): ids and access times, in pairs, of the objects with
// ids from `first` on, directories left out, whose access time lies between the two.
Napi::Value IndexBinding::AccessedIn(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const uint32_t first = info[0].As<Napi::Number>().Uint32Value();
  const uint32_t count = info[1].As<Napi::Number>().Uint32Value();
  bool lossless;
  const int64_t since = info[2].As<Napi::BigInt>().Int64Value(&lossless);
  const int64_t until = info[3].As<Napi::BigInt>().Int64Value(&lossless);
  Napi::Array found = Napi::Array::New(env);
  for (uint32_t id = first; id - first < count && id < index_->tree().size(); id++) {
    if (!index_->tree().InUse(id) || index_->tree().KindOf(id) == Kind::kDirectory) continue;
    struct statx status;
    if (!index_->Stat(id, &status) || S_ISDIR(status.stx_mode)) continue;
    const int64_t accessed = Nanoseconds(status.stx_atime);
    if (accessed < since || accessed > until) continue;
    found.Set(found.Length(), Napi::Number::New(env, id));
    found.Set(found.Length(), Napi::BigInt::New(env, accessed));
  }
  return found;
}

Napi::Value IndexBinding::Learn(const Napi::CallbackInfo& info) {
  HandleView parent;
  HandleView object;
  if (!HandleOf(info, 0, &parent) || !HandleOf(info, 3, &object))
    return Napi::Boolean::New(info.Env(), false);
  Kind kind = Kind::kUnknown;
  if (info[5].IsBoolean())
    kind = info[5].As<Napi::Boolean>().Value() ? Kind::kDirectory : Kind::kOther;
  return Napi::Boolean::New(info.Env(), index_->Learn(parent, BytesOf(info[2]), object, kind));
}

Napi::Value IndexBinding::Forget(const Napi::CallbackInfo& info) {
  HandleView parent;
  bool known = HandleOf(info, 0, &parent) && index_->Forget(parent, BytesOf(info[2]));
  return Napi::Boolean::New(info.Env(), known);
}

Napi::Value IndexBinding::Close(const Napi::CallbackInfo& info) {
  cancelled_->store(true);
  index_.reset();
  root_.reset();
  return info.Env().Undefined();
}

// hashOf(fsidType, fsid, handleType, handleBytes), the last two absent for the export's own root.
static Napi::Value HashOf(const Napi::CallbackInfo& info) {
  std::string fsid(BytesOf(info[1]));
  uint8_t type = static_cast<uint8_t>(info[0].As<Napi::Number>().Uint32Value());
  HandleView handle;
  bool root = !info[2].IsNumber();
  if (!root && !HandleOf(info, 2, &handle)) {
    Napi::RangeError::New(info.Env(), "not a file handle").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  return Napi::Number::New(info.Env(), NfsHandleHash(type, fsid, root ? nullptr : &handle));
}

void IndexBinding::Init(Napi::Env env, Napi::Object exports) {
  exports.Set("NativeHandleIndex",
              DefineClass(env, "NativeHandleIndex",
                          {InstanceMethod("open", &IndexBinding::Open),
                           InstanceMethod("walk", &IndexBinding::Walk),
                           InstanceMethod("addExportKey", &IndexBinding::AddExportKey),
                           InstanceMethod("exportKeys", &IndexBinding::ExportKeys),
                           InstanceMethod("idsOfHash", &IndexBinding::IdsOfHash),
                           InstanceMethod("idOfHandle", &IndexBinding::IdOfHandle),
                           InstanceMethod("handleOf", &IndexBinding::GetHandle),
                           InstanceMethod("pathsOf", &IndexBinding::PathsOf),
                           InstanceMethod("isGone", &IndexBinding::IsGone),
                           InstanceMethod("childOf", &IndexBinding::ChildOf),
                           InstanceMethod("isDirectory", &IndexBinding::IsDirectory),
                           InstanceMethod("statOf", &IndexBinding::StatOf),
                           InstanceMethod("accessedIn", &IndexBinding::AccessedIn),
                           InstanceMethod("learn", &IndexBinding::Learn),
                           InstanceMethod("forget", &IndexBinding::Forget),
                           InstanceMethod("refreshDirectory", &IndexBinding::RefreshDirectory),
                           InstanceMethod("refreshNames", &IndexBinding::RefreshNames),
                           InstanceMethod("takeChanged", &IndexBinding::TakeChanged),
                           InstanceMethod("prune", &IndexBinding::Prune),
                           InstanceMethod("isLate", &IndexBinding::IsLate),
                           InstanceMethod("growth", &IndexBinding::Growth),
                           InstanceMethod("namesGeneration", &IndexBinding::NamesGeneration),
                           InstanceMethod("objects", &IndexBinding::Objects),
                           InstanceMethod("close", &IndexBinding::Close)}));
}

void InitIndex(Napi::Env env, Napi::Object exports) {
  IndexBinding::Init(env, exports);
  exports.Set("nfsHandleHash", Napi::Function::New(env, HashOf));
}
