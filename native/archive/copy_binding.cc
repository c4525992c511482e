// See copy_binding.h.
#include "archive/copy_binding.h"

#include <errno.h>

#include <string>
#include <vector>

#include "archive/archive_values.h"
#include "archive/file_copy.h"
#include "archive/root_tree.h"
#include "archive/tree_binding.h"
#include "error.h"

namespace {

class Worker : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, const RootTree& tree, std::string path, const ArchiveFile& file, int fd,
         uint64_t leave)
      : Napi::AsyncWorker(env, "nfsroot-trace:copy"),
        path_(std::move(path)),
        file_(file),
        fd_(fd),
        leave_(leave),
        deferred_(Napi::Promise::Deferred::New(env)) {
    if (!tree_.OpenSame(tree)) trouble_.Set(ArchiveFailure::kRead, errno, "fcntl", path_);
  }
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    if (trouble_.failure == ArchiveFailure::kNone)
      CopyPlanned(&tree_, path_, file_, fd_, leave_, &shared_, &trouble_);
    tree_.Close();
  }
  void OnOK() override {
    if (trouble_.failure == ArchiveFailure::kNone)
      deferred_.Resolve(Napi::Boolean::New(Env(), shared_));
    else
      deferred_.Reject(TroubleError(Env(), trouble_));
  }

 private:
  RootTree tree_;
  const std::string path_;
  const ArchiveFile file_;
  const int fd_;
  const uint64_t leave_;
  bool shared_ = false;
  ArchiveTrouble trouble_;
  Napi::Promise::Deferred deferred_;
};

// copyPlanned(tree, path, record: Float64Array, fd, leave) -> Promise: whether blocks are shared.
// The record is one of an archive's, whose path is all of `path`.
Napi::Value CopyPlannedFile(const Napi::CallbackInfo& info) {
  const TreeBinding* const tree = TreeBinding::Unwrap(info[0].As<Napi::Object>());
  const auto path = info[1].As<Napi::Buffer<char>>();
  std::vector<ArchiveFile> files;
  if (!TakeRecords(info[2].As<Napi::Float64Array>(), {path.Length(), path.Length()}, &files))
    return info.Env().Undefined();
  if (files.size() != 1) {
    SystemError(info.Env(), EINVAL, "archive record").ThrowAsJavaScriptException();
    return info.Env().Undefined();
  }
  auto* const worker = new Worker(info.Env(), tree->tree(), {path.Data(), path.Length()}, files[0],
                                  info[3].As<Napi::Number>().Int32Value(),
                                  static_cast<uint64_t>(info[4].As<Napi::Number>().Int64Value()));
  const Napi::Promise promise = worker->Promise();
  worker->Queue();
  return promise;
}

}  // namespace

Napi::Function DefineCopyPlanned(Napi::Env env) {
  return Napi::Function::New(env, CopyPlannedFile, "copyPlanned");
}
