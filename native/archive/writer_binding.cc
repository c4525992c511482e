// See writer_binding.h.
#include "archive/writer_binding.h"

#include <errno.h>

#include <memory>
#include <utility>

#include "archive/archive_values.h"
#include "archive/archive_writer.h"
#include "archive/root_tree.h"
#include "archive/tree_binding.h"
#include "error.h"

namespace {

struct State {
  RootTree tree;
  ArchiveJob job;
  Napi::Reference<Napi::Buffer<char>> head;
  Napi::Reference<Napi::Buffer<char>> names;
};

class Worker : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, std::shared_ptr<State> state)
      : Napi::AsyncWorker(env, "nfsroot-trace:archive"),
        state_(std::move(state)),
        deferred_(Napi::Promise::Deferred::New(env)) {}
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { WriteArchive(&state_->tree, &state_->job); }

  void OnOK() override {
    const ArchiveJob& job = state_->job;
    state_->head.Reset();
    state_->names.Reset();
    // So that the root can be unmounted now, and not when the job is collected.
    state_->tree.Close();
    if (job.failure == ArchiveFailure::kNone) {
      deferred_.Resolve(Napi::Number::New(Env(), static_cast<double>(job.written.load())));
      return;
    }
    deferred_.Reject(TroubleError(Env(), job));
  }

 private:
  std::shared_ptr<State> state_;
  Napi::Promise::Deferred deferred_;
};

class JobBinding : public Napi::ObjectWrap<JobBinding> {
 public:
  // new ArchiveJob(tree, fd, head, files: Float64Array, names, tail, tailLength); no tail is -1.
  explicit JobBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<JobBinding>(info) {
    const TreeBinding* const tree = TreeBinding::Unwrap(info[0].As<Napi::Object>());
    auto head = info[2].As<Napi::Buffer<char>>();
    auto names = info[4].As<Napi::Buffer<char>>();
    if (!state_->tree.OpenSame(tree->tree())) {
      SystemError(info.Env(), errno, "fcntl").ThrowAsJavaScriptException();
      return;
    }
    ArchiveJob& job = state_->job;
    job.fd = info[1].As<Napi::Number>().Int32Value();
    job.head = head.Data();
    job.head_length = head.Length();
    job.names = names.Data();
    job.tail = info[5].As<Napi::Number>().Int32Value();
    job.tail_length = static_cast<uint64_t>(info[6].As<Napi::Number>().Int64Value());
    if (!TakeRecords(info[3].As<Napi::Float64Array>(), {head.Length(), names.Length()}, &job.files))
      return;
    state_->head = Napi::Persistent(head);
    state_->names = Napi::Persistent(names);
  }

  static Napi::Function Define(Napi::Env env) {
    return DefineClass(env, "ArchiveJob",
                       {
                           InstanceMethod("run", &JobBinding::Run),
                           InstanceMethod("written", &JobBinding::Written),
                           InstanceMethod("abort", &JobBinding::Abort),
                       });
  }

 private:
  // run() -> Promise of the bytes written; once.
  Napi::Value Run(const Napi::CallbackInfo& info) {
    if (started_) {
      SystemError(info.Env(), EALREADY, "archive job").ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    started_ = true;
    auto* const worker = new Worker(info.Env(), state_);
    const Napi::Promise promise = worker->Promise();
    worker->Queue();
    return promise;
  }

  Napi::Value Written(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(state_->job.written.load()));
  }

  Napi::Value Abort(const Napi::CallbackInfo& info) {
    state_->job.abort.store(true);
    return info.Env().Undefined();
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
  bool started_ = false;
};

}  // namespace

Napi::Function DefineArchiveJob(Napi::Env env) { return JobBinding::Define(env); }
