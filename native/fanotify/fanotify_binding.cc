// The JavaScript class around one Group: arguments in, plain values out.
// Owns the life of a Group within its environment. Must not know events.
//
// Native shape, wrapped by src/fanotify-ts/fanotify-group.ts (which validates):
//   new FanotifyGroup({ serverNames: string[], keep: bits, tableLimit, queueLimited })
//   start(paths: Buffer[])  watch(path)  unwatch(path)  trace(pid)  untrace(pid)  hold(on)
//   drain(): { rows: Buffer, size, losses: [where, count, fromUs, toUs][], untilUs }
//   sync(timeoutMs): Promise<number>   0 proven, 1 timed out, 2 stopped
//   stop(): Promise<number>            0, when the thread has been joined
//   stats(): object of numbers
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

// A wait or a join on libuv's pool, so that the event loop goes on. It holds the Group, not the
// JavaScript object, and touches nothing of JavaScript but its promise.
class GroupWork {
 public:
  static Napi::Value Queue(Napi::Env env, std::shared_ptr<fan::Group> group, bool stop,
                           int64_t timeout_ms) {
    GroupWork* work = new GroupWork;
    work->group_ = std::move(group);
    work->stop_ = stop;
    work->timeout_ms_ = timeout_ms;
    // The moment of the call is the one that is proven, not that of the pool thread's start.
    if (!stop) work->ticket_ = work->group_->RequestSync();
    napi_value promise = nullptr;
    napi_value name = Napi::String::New(env, "FanotifyGroup");
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
  static void Execute(napi_env, void* data) {
    GroupWork* work = static_cast<GroupWork*>(data);
    if (work->stop_)
      work->group_->Stop();
    else
      work->result_ = static_cast<int>(work->group_->WaitSync(work->ticket_, work->timeout_ms_));
  }

  // Statuses are ignored on purpose: they fail only while the environment is being torn down,
  // when nobody is left to be told.
  static void Complete(napi_env env, napi_status, void* data) {
    std::unique_ptr<GroupWork> work(static_cast<GroupWork*>(data));
    napi_value result;
    if (napi_create_int32(env, work->result_, &result) == napi_ok)
      napi_resolve_deferred(env, work->deferred_, result);
    napi_delete_async_work(env, work->work_);
  }

  std::shared_ptr<fan::Group> group_;
  bool stop_ = false;
  int64_t timeout_ms_ = 0;
  uint64_t ticket_ = 0;
  int result_ = 0;
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
    // Ends the thread before the environment's memory goes, also in a terminated worker, and
    // wakes a pool thread that waits for it.
    napi_add_env_cleanup_hook(env_, StopAtExit, group_.get());
  }

  ~FanotifyGroup() override {
    napi_remove_env_cleanup_hook(env_, StopAtExit, group_.get());
    group_->Stop();
  }

 private:
  static void StopAtExit(void* group) { static_cast<fan::Group*>(group)->Stop(); }

  static void ThrowIf(Napi::Env env, const fan::Failure& failure) {
    if (failure)
      SystemError(env, failure.err, failure.call, failure.subject).ThrowAsJavaScriptException();
  }

  void Start(const Napi::CallbackInfo& info) {
    std::vector<std::string> paths;
    const Napi::Array given = info[0].As<Napi::Array>();
    for (uint32_t at = 0; at < given.Length(); at++) paths.push_back(BytesOf(given.Get(at)));
    ThrowIf(info.Env(), group_->Start(paths));
  }

  void Watch(const Napi::CallbackInfo& info) {
    ThrowIf(info.Env(), group_->Watch(BytesOf(info[0])));
  }

  void Unwatch(const Napi::CallbackInfo& info) {
    ThrowIf(info.Env(), group_->Unwatch(BytesOf(info[0])));
  }

  void Trace(const Napi::CallbackInfo& info) { group_->Trace(info[0].ToNumber().Int32Value()); }

  void Untrace(const Napi::CallbackInfo& info) { group_->Untrace(info[0].ToNumber().Int32Value()); }

  void Hold(const Napi::CallbackInfo& info) { group_->Hold(info[0].ToBoolean()); }

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
    return GroupWork::Queue(info.Env(), group_, false, info[0].ToNumber().Int64Value());
  }

  Napi::Value Stop(const Napi::CallbackInfo& info) {
    return GroupWork::Queue(info.Env(), group_, true, 0);
  }

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
};

}  // namespace

void InitFanotify(Napi::Env env, Napi::Object exports) { FanotifyGroup::Define(env, exports); }
