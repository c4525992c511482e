#include "nfsd/tracepoint_binding.h"

#include <cstring>
#include <string>
#include <vector>

#include "error.h"
#include "nfsd/client_address.h"
#include "nfsd/perf_rings.h"

namespace {

constexpr size_t kPackedHeader = 16;

// new TracepointReader([{id, filter?}], ringBytes, useCounters)
class TracepointReader : public Napi::ObjectWrap<TracepointReader> {
 public:
  static void Init(Napi::Env env, Napi::Object exports) {
    exports.Set("TracepointReader",
                DefineClass(env, "TracepointReader",
                            {InstanceMethod("start", &TracepointReader::Start),
                             InstanceMethod("read", &TracepointReader::Read),
                             InstanceMethod("disable", &TracepointReader::Disable),
                             InstanceMethod("losses", &TracepointReader::Losses),
                             InstanceMethod("close", &TracepointReader::Close)}));
  }

  explicit TracepointReader(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<TracepointReader>(info) {
    Napi::Array events = info[0].As<Napi::Array>();
    for (uint32_t i = 0; i < events.Length(); i++) {
      Napi::Object event = events.Get(i).As<Napi::Object>();
      Napi::Value filter = event.Get("filter");
      events_.push_back({event.Get("id").As<Napi::Number>().Uint32Value(),
                         filter.IsString() ? filter.As<Napi::String>().Utf8Value() : ""});
    }
    ring_bytes_ = static_cast<size_t>(info[1].As<Napi::Number>().Int64Value());
    if (!info[2].As<Napi::Boolean>().Value()) rings_.WithoutCounters();
  }

 private:
  // Opens and enables; returns the ring size that was got, in bytes for each CPU.
  Napi::Value Start(const Napi::CallbackInfo& info) {
    std::string step;
    int err = rings_.Open(events_, ring_bytes_, &step);
    if (err != 0) {
      SystemError(info.Env(), err, step.c_str()).ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    rings_.Enable();
    return Napi::Number::New(info.Env(), static_cast<double>(rings_.ring_bytes()));
  }

  // All records up to now, packed.
  Napi::Value Read(const Napi::CallbackInfo& info) {
    std::string out;
    rings_.Read(MonotonicNs(), SIZE_MAX, [&out](const RawRecord& record, int cpu) {
      uint32_t head[2] = {record.size, static_cast<uint32_t>(cpu)};
      out.append(reinterpret_cast<const char*>(head), sizeof head);
      out.append(reinterpret_cast<const char*>(&record.time_ns), sizeof record.time_ns);
      out.append(reinterpret_cast<const char*>(record.data), record.size);
    });
    return Napi::Buffer<char>::Copy(info.Env(), out.data(), out.size());
  }

  void Disable(const Napi::CallbackInfo&) { rings_.Disable(); }

  // losses(last) -> [{where, cpu, count, fromUs, toUs}]
  Napi::Value Losses(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    std::vector<RingLoss> losses;
    rings_.TakeLosses(info[0].As<Napi::Boolean>().Value(), &losses);
    Napi::Array out = Napi::Array::New(env);
    for (const RingLoss& loss : losses) {
      Napi::Object row = Napi::Object::New(env);
      row.Set("where", loss.where);
      row.Set("cpu", loss.cpu);
      row.Set("count", static_cast<double>(loss.count));
      row.Set("fromUs", static_cast<double>(loss.from_ns / 1000));
      row.Set("toUs", static_cast<double>(loss.to_ns / 1000));
      out.Set(out.Length(), row);
    }
    return out;
  }

  void Close(const Napi::CallbackInfo&) { rings_.Close(); }

  std::vector<TraceEventSpec> events_;
  size_t ring_bytes_ = 0;
  PerfRings rings_;
};

// parseTraceFormat(text) -> {event, id, fields: [{name, offset, size, signed, place}]}; throws
// `not a tracepoint format: <line>`.
Napi::Value ParseFormat(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  TraceFormat format;
  std::string line;
  if (!ParseTraceFormat(info[0].As<Napi::String>().Utf8Value(), &format, &line)) {
    Napi::Error::New(env, "not a tracepoint format: " + line).ThrowAsJavaScriptException();
    return env.Undefined();
  }
  Napi::Array fields = Napi::Array::New(env);
  for (const TraceField& field : format.fields) {
    Napi::Object row = Napi::Object::New(env);
    row.Set("name", field.name);
    row.Set("offset", field.offset);
    row.Set("size", field.size);
    row.Set("signed", field.is_signed);
    row.Set("place", field.place == FieldPlace::kInline    ? "inline"
                     : field.place == FieldPlace::kDataLoc ? "data_loc"
                                                           : "rel_loc");
    fields.Set(fields.Length(), row);
  }
  Napi::Object out = Napi::Object::New(env);
  out.Set("event", format.event);
  out.Set("id", format.id);
  out.Set("fields", fields);
  return out;
}

// clientAddress(sockaddr bytes | printed address) -> normalised text
Napi::Value ClientAddress(const Napi::CallbackInfo& info) {
  if (info[0].IsString())
    return Napi::String::New(info.Env(), AddressFromText(info[0].As<Napi::String>().Utf8Value()));
  Napi::Buffer<char> bytes = info[0].As<Napi::Buffer<char>>();
  return Napi::String::New(info.Env(), AddressFromSockaddr({bytes.Data(), bytes.Length()}));
}

}  // namespace

uint64_t ForEachPacked(const uint8_t* data, size_t size,
                       const std::function<void(const RawRecord&, int cpu)>& handler) {
  uint64_t last = 0;
  while (size >= kPackedHeader) {
    uint32_t head[2];
    RawRecord record{};
    memcpy(head, data, sizeof head);
    memcpy(&record.time_ns, data + 8, 8);
    if (head[0] > size - kPackedHeader) break;
    record.data = data + kPackedHeader;
    record.size = head[0];
    handler(record, static_cast<int>(head[1]));
    last = record.time_ns;
    data += kPackedHeader + head[0];
    size -= kPackedHeader + head[0];
  }
  return last;
}

void InitTracepoints(Napi::Env env, Napi::Object exports) {
  TracepointReader::Init(env, exports);
  exports.Set("parseTraceFormat", Napi::Function::New(env, ParseFormat));
  exports.Set("clientAddress", Napi::Function::New(env, ClientAddress));
}
