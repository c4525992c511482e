// See window_binding.h.
#include "archive/window_binding.h"

#include <errno.h>

#include <memory>
#include <utility>
#include <vector>

#include "archive/archive_values.h"
#include "archive/archive_window.h"
#include "archive/root_tree.h"
#include "archive/tree_binding.h"
#include "error.h"

namespace {

struct State {
  RootTree tree;
  ArchiveParts parts;
  uint64_t length = 0;
};

class Worker : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, std::shared_ptr<State> state, const Napi::Object& self)
      : Napi::AsyncWorker(env, "nfsroot-trace:window"),
        state_(std::move(state)),
        deferred_(Napi::Promise::Deferred::New(env)),
        self_(Napi::Persistent(self)) {
    if (!tree_.OpenSame(state_->tree)) trouble_.Set(ArchiveFailure::kRead, errno, "fcntl");
  }
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  virtual void Work(RootTree* tree, const ArchiveParts& parts, ArchiveTrouble* trouble) = 0;
  virtual Napi::Value Result(Napi::Env env) = 0;

  void Execute() override {
    if (trouble_.failure == ArchiveFailure::kNone) Work(&tree_, state_->parts, &trouble_);
    tree_.Close();
  }
  void OnOK() override {
    if (trouble_.failure == ArchiveFailure::kNone)
      deferred_.Resolve(Result(Env()));
    else
      deferred_.Reject(TroubleError(Env(), trouble_));
  }

 private:
  std::shared_ptr<State> state_;
  RootTree tree_;
  ArchiveTrouble trouble_;
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference self_;  // keeps `head` and `names` alive
};

class ReadWorker : public Worker {
 public:
  ReadWorker(Napi::Env env, std::shared_ptr<State> state, const Napi::Object& self, uint64_t from,
             Napi::Buffer<char> to)
      : Worker(env, std::move(state), self),
        from_(from),
        data_(to.Data()),
        length_(to.Length()),
        to_(Napi::Persistent(to)) {}

 protected:
  void Work(RootTree* tree, const ArchiveParts& parts, ArchiveTrouble* trouble) override {
    ReadWindow(tree, parts, from_, data_, length_, trouble);
  }
  Napi::Value Result(Napi::Env env) override { return env.Undefined(); }

 private:
  const uint64_t from_;
  char* const data_;
  const size_t length_;
  Napi::Reference<Napi::Buffer<char>> to_;
};

class SumWorker : public Worker {
 public:
  using Worker::Worker;

 protected:
  void Work(RootTree* tree, const ArchiveParts& parts, ArchiveTrouble* trouble) override {
    SumFiles(tree, parts, &sums_, trouble);
  }
  Napi::Value Result(Napi::Env env) override {
    auto result = Napi::Uint32Array::New(env, sums_.size());
    for (size_t i = 0; i < sums_.size(); i++) result.Data()[i] = sums_[i];
    return result;
  }

 private:
  std::vector<uint32_t> sums_;
};

class WindowBinding : public Napi::ObjectWrap<WindowBinding> {
 public:
  // new ArchiveWindow(tree, head, files: Float64Array, names)
  explicit WindowBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<WindowBinding>(info) {
    const TreeBinding* const tree = TreeBinding::Unwrap(info[0].As<Napi::Object>());
    auto head = info[1].As<Napi::Buffer<char>>();
    auto names = info[3].As<Napi::Buffer<char>>();
    ArchiveParts& parts = state_->parts;
    parts.head = head.Data();
    parts.head_length = head.Length();
    parts.names = names.Data();
    if (!state_->tree.OpenSame(tree->tree())) {
      SystemError(info.Env(), errno, "fcntl").ThrowAsJavaScriptException();
      return;
    }
    if (!TakeRecords(info[2].As<Napi::Float64Array>(), {head.Length(), names.Length()},
                     &parts.files))
      return;
    state_->length = parts.Place();
    head_ = Napi::Persistent(head);
    names_ = Napi::Persistent(names);
  }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ArchiveWindow",
                       {
                           InstanceMethod("read", &WindowBinding::Read),
                           InstanceMethod("sums", &WindowBinding::Sums),
                           InstanceMethod("close", &WindowBinding::Close),
                       });
  }

 private:
  static Napi::Value Start(Worker* worker) {
    const Napi::Promise promise = worker->Promise();
    worker->Queue();
    return promise;
  }

  // read(from, buffer) -> Promise: fills the whole buffer with the archive's bytes from there.
  Napi::Value Read(const Napi::CallbackInfo& info) {
    const double from = info[0].As<Napi::Number>().DoubleValue();
    auto to = info[1].As<Napi::Buffer<char>>();
    const double end = from + static_cast<double>(to.Length());
    if (!(from >= 0) || end > static_cast<double>(state_->length)) {
      SystemError(info.Env(), EINVAL, "archive window").ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    return Start(new ReadWorker(info.Env(), state_, Value(), static_cast<uint64_t>(from), to));
  }

  // sums() -> Promise of a Uint32Array, one for each file.
  Napi::Value Sums(const Napi::CallbackInfo& info) {
    return Start(new SumWorker(info.Env(), state_, Value()));
  }

  // Lets go of the tree; calls that run have their own.
  Napi::Value Close(const Napi::CallbackInfo& info) {
    state_->tree.Close();
    return info.Env().Undefined();
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
  Napi::Reference<Napi::Buffer<char>> head_;
  Napi::Reference<Napi::Buffer<char>> names_;
};

}  // namespace

Napi::Function DefineArchiveWindow(Napi::Env env) { return WindowBinding::Define(env); }
