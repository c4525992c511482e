// Owns the translation between JavaScript and the NFS trace reader; nothing else.
#include "nfsd/nfsd_binding.h"

#include <memory>
#include <string>

#include "error.h"
#include "nfsd/nfsd_reader.h"
#include "nfsd/tracepoint_binding.h"

namespace {

const char* StateName(ReaderState state) {
  switch (state) {
    case ReaderState::kWaiting:
      return "waiting";
    case ReaderState::kRunning:
      return "running";
    default:
      return "stopped";
  }
}

Napi::Value TierValue(Napi::Env env, NfsTier tier) {
  switch (tier) {
    case NfsTier::kExactNames:
      return Napi::String::New(env, "exact+names");
    case NfsTier::kExact:
      return Napi::String::New(env, "exact");
    case NfsTier::kReads:
      return Napi::String::New(env, "reads");
    case NfsTier::kNone:
      break;
  }
  return env.Null();
}

NfsTier TierOf(const std::string& name) {
  if (name == "exact+names") return NfsTier::kExactNames;
  if (name == "exact") return NfsTier::kExact;
  return NfsTier::kReads;
}

// {best, probe, preferProbe, noHashes}
PlanOptions PlanOptionsOf(const Napi::Value& value) {
  PlanOptions options;
  Napi::Object given = value.As<Napi::Object>();
  options.best = TierOf(given.Get("best").As<Napi::String>().Utf8Value());
  options.probe = given.Get("probe").As<Napi::String>().Utf8Value();
  options.prefer_probe = given.Get("preferProbe").As<Napi::Boolean>().Value();
  options.no_hashes = given.Get("noHashes").As<Napi::Boolean>().Value();
  return options;
}

Napi::Number Count(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

Napi::Buffer<char> Bytes(Napi::Env env, const std::string& data) {
  return Napi::Buffer<char>::Copy(env, data.data(), data.size());
}

// Waits for the reader on a pool thread: at most one round of reading.
class WaitWorker : public Napi::AsyncWorker {
 public:
  WaitWorker(Napi::Env env, std::shared_ptr<NfsdReader> reader, bool stop)
      : Napi::AsyncWorker(env),
        reader_(std::move(reader)),
        stop_(stop),
        deferred_(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise Promise() const { return deferred_.Promise(); }

  void Execute() override {
    if (stop_)
      reader_->Stop();
    else
      reader_->Sync();
  }
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  std::shared_ptr<NfsdReader> reader_;
  bool stop_;
  Napi::Promise::Deferred deferred_;
};

class NfsdTrace : public Napi::ObjectWrap<NfsdTrace> {
 public:
  static void Init(Napi::Env env, Napi::Object exports) {
    exports.Set("NfsdTrace", DefineClass(env, "NfsdTrace",
                                         {InstanceMethod("start", &NfsdTrace::Start),
                                          InstanceMethod("drain", &NfsdTrace::Drain),
                                          InstanceMethod("sync", &NfsdTrace::Sync),
                                          InstanceMethod("stop", &NfsdTrace::Stop),
                                          InstanceMethod("status", &NfsdTrace::Status)}));
  }

  explicit NfsdTrace(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NfsdTrace>(info) {
    NfsdReader::Options options;
    Napi::Object given = info[0].As<Napi::Object>();
    options.tracefs = given.Get("tracefs").As<Napi::String>().Utf8Value();
    options.ring_bytes =
        static_cast<size_t>(given.Get("ringBytes").As<Napi::Number>().Int64Value());
    options.table_limit =
        static_cast<size_t>(given.Get("tableLimit").As<Napi::Number>().Int64Value());
    options.plan = PlanOptionsOf(given.Get("plan"));
    reader_ = std::make_shared<NfsdReader>(std::move(options));
  }

 private:
  void Start(const Napi::CallbackInfo& info) {
    std::string step;
    int err = reader_->Start(&step);
    if (err != 0) SystemError(info.Env(), err, step.c_str()).ThrowAsJavaScriptException();
  }
  Napi::Value Drain(const Napi::CallbackInfo& info) { return Bytes(info.Env(), reader_->Drain()); }
  Napi::Value Sync(const Napi::CallbackInfo& info) { return Wait(info.Env(), false); }
  Napi::Value Stop(const Napi::CallbackInfo& info) { return Wait(info.Env(), true); }

  Napi::Value Wait(Napi::Env env, bool stop) {
    auto* worker = new WaitWorker(env, reader_, stop);
    Napi::Promise promise = worker->Promise();
    worker->Queue();
    return promise;
  }

  Napi::Value Status(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    ReaderStatus status = reader_->Status();
    Napi::Object out = Napi::Object::New(env);
    out.Set("state", StateName(status.state));
    out.Set("tier", TierValue(env, status.tier));
    out.Set("byProbe", status.by_probe);
    out.Set("runningSinceUs", status.running_since_ns == 0
                                  ? env.Null()
                                  : Count(env, status.running_since_ns / 1000).As<Napi::Value>());
    out.Set("ringBytesPerCpu", Count(env, status.ring_bytes));
    out.Set("cpus", Count(env, status.cpus));
    out.Set("filtersRefused", Count(env, status.filters_refused));
    out.Set("events", Count(env, status.stats.events));
    out.Set("lost", Count(env, status.lost));
    out.Set("denied", Count(env, status.stats.denied));
    out.Set("joinMismatches", Count(env, status.stats.join_mismatches));
    out.Set("inFlightAtStart", Count(env, status.stats.in_flight));
    out.Set("hashes", Count(env, status.stats.hashes));
    out.Set("zeroHashes", Count(env, status.stats.zero_hashes));
    out.Set("threadCpuUs", Count(env, status.thread_cpu_ns / 1000));
    out.Set("problem", status.problem.empty()
                           ? env.Null()
                           : Napi::String::New(env, status.problem).As<Napi::Value>());
    return out;
  }

  std::shared_ptr<NfsdReader> reader_;
};

// probeNfsdEvents(tracefs, plan) -> { events: {name: boolean}, tier, byProbe, live }
Napi::Value ProbeEvents(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  EventPlan plan =
      PlanEvents(TracefsLoader(info[0].As<Napi::String>().Utf8Value()), PlanOptionsOf(info[1]));
  Napi::Object events = Napi::Object::New(env);
  for (const auto& [name, there] : plan.found) events.Set(name, there);
  Napi::Object out = Napi::Object::New(env);
  out.Set("events", events);
  out.Set("tier", TierValue(env, plan.tier));
  out.Set("byProbe", plan.by_probe);
  out.Set("live", NfsdModuleLive());
  return out;
}

// The plan for a set of format texts by event name; the system is not part of the key.
EventPlan PlanFrom(const Napi::Object& formats, const PlanOptions& options) {
  auto load = [&formats](const std::string&, const std::string& name, std::string* text) {
    Napi::Value value = formats.Get(name);
    if (!value.IsString()) return false;
    *text = value.As<Napi::String>().Utf8Value();
    return true;
  };
  return PlanEvents(load, options);
}

// interpretNfsdRecords(formats, records[], tableLimit, beganUs, plan) -> one encoded batch for each
// buffer of records; the interpreter's state lasts over all of them.
Napi::Value InterpretRecords(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Napi::Array buffers = info[1].As<Napi::Array>();
  NfsInterpreter interpreter(PlanFrom(info[0].As<Napi::Object>(), PlanOptionsOf(info[4])),
                             static_cast<size_t>(info[2].As<Napi::Number>().Int64Value()),
                             static_cast<uint64_t>(info[3].As<Napi::Number>().Int64Value()) * 1000);
  Napi::Array out = Napi::Array::New(env);
  for (uint32_t i = 0; i < buffers.Length(); i++) {
    Napi::Buffer<uint8_t> bytes = buffers.Get(i).As<Napi::Buffer<uint8_t>>();
    uint64_t until =
        ForEachPacked(bytes.Data(), bytes.Length(),
                      [&interpreter](const RawRecord& record, int) { interpreter.Handle(record); });
    out.Set(i, Bytes(env, interpreter.Take().Encode(until)));
  }
  return out;
}

}  // namespace

void InitNfsd(Napi::Env env, Napi::Object exports) {
  NfsdTrace::Init(env, exports);
  InitTracepoints(env, exports);
  exports.Set("probeNfsdEvents", Napi::Function::New(env, ProbeEvents));
  exports.Set("interpretNfsdRecords", Napi::Function::New(env, InterpretRecords));
}
