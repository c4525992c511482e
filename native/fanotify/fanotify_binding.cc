// The JavaScript class around one Group: arguments in, plain values out.
// Owns the life of a Group within its environment. Must not know events.
//
// Native shape, wrapped by src/fanotify-ts/fanotify-group.ts (which validates):
//   new FanotifyGroup({ serverNames: string[], keep: bits, tableLimit, queueLimited })
//   start(paths: Buffer[], onProven: (ticket) => void)  watch(path): fsid unwatch(path)  trace(pid)
//   untrace(pid) hold(on)  feed(bytes) drain(): { rows: Buffer, size, losses: [where, count,
//   fromUs, toUs][], untilUs } sync(): number     a ticket, proven when onProven has been called
//   with it or a higher one stop(): Promise    resolves when the thread has been joined stats():
//   object of numbers
#include "fanotify/fanotify_binding.h"

#include <memory>

#include "error.h"
#include "fanotify/batch_encoder.h"
#include "fanotify/group.h"

namespace {

std::string BytesOf(const Napi::Value& value) {
  const Napi::Buffer<char> bytes = value.As<Napi::Buffer<char>>();
  return std::string(bytes.Data(), bytes.Length());
}

// A join on libuv's pool, so that the event loop goes on. It holds the Group, not the JavaScript
// object, and touches nothing of JavaScript but its promise.
class StopWork {
 public:
  static Napi::Value Queue(Napi::Env env, std::shared_ptr<fan::Group> group) {
    StopWork* work = new StopWork;
    work->group_ = std::move(group);
    napi_value promise = nullptr;
    napi_value name = Napi::String::New(env, "FanotifyGroup.stop");
    if (napi_create_promise(env, &work->deferred_, &promise) != napi_ok ||
        napi_create_async_work(env, nullptr, name, Execute, Complete, work, &work->work_) !=
            napi_ok ||
        napi_queue_async_work(env, work->work_) != napi_ok) {
      delete work;
      Napi::Error::New(env, "cannot queue work").ThrowAsJavaScriptException();
      return env.Undefined();
    }
    return Napi::Value(env, promise);
  }

 private:
  static void Execute(napi_env, void* data) { static_cast<StopWork*>(data)->group_->Stop(); }

  // Statuses are ignored on purpose: they fail only while the environment is being torn down,
  // when nobody is left to be told.
  static void Complete(napi_env env, napi_status, void* data) {
    std::unique_ptr<StopWork> work(static_cast<StopWork*>(data));
    napi_value result;
    if (napi_get_undefined(env, &result) == napi_ok)
      napi_resolve_deferred(env, work->deferred_, result);
    napi_delete_async_work(env, work->work_);
  }

  std::shared_ptr<fan::Group> group_;
  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
};

class FanotifyGroup : public Napi::ObjectWrap<FanotifyGroup> {
 public:
  static void Define(Napi::Env env, Napi::Object exports) {
    exports.Set("FanotifyGroup", DefineClass(env, "FanotifyGroup",
                                             {
                                                 InstanceMethod<&FanotifyGroup::Start>("start"),
                                                 InstanceMethod<&FanotifyGroup::Watch>("watch"),
                                                 InstanceMethod<&FanotifyGroup::Unwatch>("unwatch"),
                                                 InstanceMethod<&FanotifyGroup::Trace>("trace"),
                                                 InstanceMethod<&FanotifyGroup::Untrace>("untrace"),
                                                 InstanceMethod<&FanotifyGroup::Drain>("drain"),
                                                 InstanceMethod<&FanotifyGroup::Sync>("sync"),
                                                 InstanceMethod<&FanotifyGroup::Stop>("stop"),
                                                 InstanceMethod<&FanotifyGroup::Stats>("stats"),
                                                 InstanceMethod<&FanotifyGroup::Hold>("hold"),
                                                 InstanceMethod<&FanotifyGroup::Feed>("feed"),
                                             }));
  }

  explicit FanotifyGroup(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<FanotifyGroup>(info), env_(info.Env()) {
    const Napi::Object given = info[0].As<Napi::Object>();
    fan::GroupOptions options;
    const Napi::Array names = given.Get("serverNames").As<Napi::Array>();
    for (uint32_t at = 0; at < names.Length(); at++)
      options.server_names.push_back(names.Get(at).ToString().Utf8Value());
    options.keep = given.Get("keep").ToNumber().Uint32Value();
    options.table_limit = given.Get("tableLimit").ToNumber().Uint32Value();
    options.queue_limited = given.Get("queueLimited").ToBoolean();
    group_ = std::make_shared<fan::Group>(options);
  }

  ~FanotifyGroup() override { End(); }

 private:
  // Joins the thread before the environment goes, also in a terminated worker. Hooks run last in
  // first out: this one was added after the thread-safe function's own, so the function is still
  // whole while the thread may call it, and nobody calls it when it is closed.
  static void EndAtExit(void* self) { static_cast<FanotifyGroup*>(self)->End(); }

  void End() {
    group_->Stop();
    if (wake_ == nullptr) return;
    napi_remove_env_cleanup_hook(env_, EndAtExit, this);
    napi_release_threadsafe_function(wake_, napi_tsfn_abort);
    wake_ = nullptr;
  }

  // On the JavaScript thread. `context`: a shared pointer of its own to the group.
  static void CallOnProven(napi_env env, napi_value on_proven, void* context, void*) {
    if (env == nullptr) return;
    const uint64_t proven = (*static_cast<std::shared_ptr<fan::Group>*>(context))->Proven();
    napi_value undefined, ticket;
    if (napi_get_undefined(env, &undefined) == napi_ok &&
        napi_create_double(env, static_cast<double>(proven), &ticket) == napi_ok)
      napi_call_function(env, undefined, on_proven, 1, &ticket, nullptr);
  }

  static void ForgetContext(napi_env, void*, void* context) {
    delete static_cast<std::shared_ptr<fan::Group>*>(context);
  }

  // A queue of one: a call that finds it full is covered by the one that waits.
  bool MakeWake(Napi::Env env, napi_value on_proven) {
    auto* context = new std::shared_ptr<fan::Group>(group_);
    napi_value name = Napi::String::New(env, "FanotifyGroup.sync");
    if (napi_create_threadsafe_function(env, on_proven, nullptr, name, 1, 1, nullptr, ForgetContext,
                                        context, CallOnProven, &wake_) != napi_ok) {
      delete context;
      Napi::Error::New(env, "cannot make a thread-safe function").ThrowAsJavaScriptException();
      return false;
    }
    // A running group does not keep the process alive; who waits for a sync has a timer.
    napi_unref_threadsafe_function(env, wake_);
    napi_add_env_cleanup_hook(env, EndAtExit, this);
    return true;
  }

  static void ThrowIf(Napi::Env env, const fan::Failure& failure) {
    if (failure)
      SystemError(env, failure.err, failure.call, failure.subject).ThrowAsJavaScriptException();
  }

  void Start(const Napi::CallbackInfo& info) {
    std::vector<std::string> paths;
    const Napi::Array given = info[0].As<Napi::Array>();
    for (uint32_t at = 0; at < given.Length(); at++) paths.push_back(BytesOf(given.Get(at)));
    if (!MakeWake(info.Env(), info[1])) return;
    napi_threadsafe_function wake = wake_;
    const fan::Failure failure = group_->Start(
        paths, [wake] { napi_call_threadsafe_function(wake, nullptr, napi_tsfn_nonblocking); });
    if (failure) End();
    ThrowIf(info.Env(), failure);
  }

  Napi::Value Watch(const Napi::CallbackInfo& info) {
    fan::Identity identity;
    ThrowIf(info.Env(), group_->Watch(BytesOf(info[0]), &identity));
    return Napi::Buffer<uint8_t>::Copy(info.Env(), identity.fsid.data(), identity.fsid.size());
  }

  void Unwatch(const Napi::CallbackInfo& info) {
    ThrowIf(info.Env(), group_->Unwatch(BytesOf(info[0])));
  }

  void Trace(const Napi::CallbackInfo& info) { group_->Trace(info[0].ToNumber().Int32Value()); }

  void Untrace(const Napi::CallbackInfo& info) { group_->Untrace(info[0].ToNumber().Int32Value()); }

  void Hold(const Napi::CallbackInfo& info) { group_->Hold(info[0].ToBoolean()); }

  void Feed(const Napi::CallbackInfo& info) {
    const Napi::Buffer<uint8_t> bytes = info[0].As<Napi::Buffer<uint8_t>>();
    group_->Feed(bytes.Data(), bytes.Length());
  }

  Napi::Value Drain(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const fan::Drained drained = group_->Drain();
    Napi::Buffer<uint8_t> rows = Napi::Buffer<uint8_t>::New(env, fan::EncodedBound(*drained.table));
    const size_t size = fan::EncodeRows(*drained.table, rows.Data());
    group_->Recycle(drained.table);
    Napi::Array losses = Napi::Array::New(env);
    for (const fan::Loss& loss : drained.losses) {
      Napi::Array row = Napi::Array::New(env);
      row.Set(0u, Napi::String::New(env, loss.where));
      row.Set(1u, Number(env, loss.count));
      row.Set(2u, Number(env, loss.from_us));
      row.Set(3u, Number(env, loss.to_us));
      losses.Set(losses.Length(), row);
    }
    Napi::Object out = Napi::Object::New(env);
    out.Set("rows", rows);
    out.Set("size", Number(env, size));
    out.Set("losses", losses);
    out.Set("untilUs", Number(env, drained.until_us));
    return out;
  }

  Napi::Value Sync(const Napi::CallbackInfo& info) {
    return Number(info.Env(), group_->RequestSync());
  }

  Napi::Value Stop(const Napi::CallbackInfo& info) { return StopWork::Queue(info.Env(), group_); }

  Napi::Value Stats(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const fan::Stats stats = group_->GetStats();
    const fan::Counters& counters = stats.counters;
    Napi::Object out = Napi::Object::New(env);
    out.Set("eventsRead", Number(env, counters.events_read));
    out.Set("bytesRead", Number(env, counters.bytes_read));
    out.Set("reads", Number(env, counters.reads));
    out.Set("overflows", Number(env, counters.overflows));
    out.Set("tableDrops", Number(env, counters.table_drops));
    out.Set("filtered", Number(env, counters.filtered));
    out.Set("malformed", Number(env, counters.malformed));
    out.Set("readErrors", Number(env, counters.read_errors));
    out.Set("distinct", Number(env, counters.distinct));
    out.Set("threadCpuUs", Number(env, stats.thread_cpu_us));
    return out;
  }

  template <typename T>
  static Napi::Number Number(Napi::Env env, T value) {
    return Napi::Number::New(env, static_cast<double>(value));
  }

  const napi_env env_;
  std::shared_ptr<fan::Group> group_;
  napi_threadsafe_function wake_ = nullptr;
};

}  // namespace

void InitFanotify(Napi::Env env, Napi::Object exports) { FanotifyGroup::Define(env, exports); }
