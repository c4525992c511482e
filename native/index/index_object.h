// The addon's class NativeHandleIndex, and how its arguments are read.
// Owns the HandleIndex of one root. Its methods are in index_binding.cc (what it knows) and
// index_upkeep_binding.cc (how it is kept true and small).
#pragma once
#include <napi.h>

#include <atomic>
#include <memory>
#include <string_view>

#include "index/handle_index.h"

inline std::string_view BytesOf(const Napi::Value& value) {
  auto buffer = value.As<Napi::Buffer<char>>();
  return {buffer.Data(), buffer.Length()};
}

// A handle as JavaScript's (type, bytes). What the kernel cannot have made is no handle.
inline bool HandleOf(const Napi::CallbackInfo& info, size_t at, HandleView* handle) {
  uint32_t type = info[at].As<Napi::Number>().Uint32Value();
  std::string_view bytes = BytesOf(info[at + 1]);
  if (type > 255 || bytes.size() > MAX_HANDLE_SZ) return false;
  *handle = {static_cast<uint8_t>(type), static_cast<uint8_t>(bytes.size()),
             reinterpret_cast<const uint8_t*>(bytes.data())};
  return true;
}

inline Napi::Value Bytes(Napi::Env env, std::string_view bytes) {
  return Napi::Buffer<char>::Copy(env, bytes.data(), bytes.size());
}

class IndexBinding : public Napi::ObjectWrap<IndexBinding> {
 public:
  static void Init(Napi::Env env, Napi::Object exports);
  explicit IndexBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<IndexBinding>(info) {}
  ~IndexBinding() override { cancelled_->store(true); }

  HandleIndex* index() { return index_.get(); }
  const std::shared_ptr<RootDirectory>& root() const { return root_; }

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Walk(const Napi::CallbackInfo& info);
  Napi::Value AddExportKey(const Napi::CallbackInfo& info);
  Napi::Value ExportKeys(const Napi::CallbackInfo& info);
  Napi::Value IdsOfHash(const Napi::CallbackInfo& info);
  Napi::Value IdOfHandle(const Napi::CallbackInfo& info);
  Napi::Value GetHandle(const Napi::CallbackInfo& info);
  Napi::Value PathsOf(const Napi::CallbackInfo& info);
  Napi::Value IsGone(const Napi::CallbackInfo& info);
  Napi::Value ChildOf(const Napi::CallbackInfo& info);
  Napi::Value IsDirectory(const Napi::CallbackInfo& info);
  Napi::Value StatOf(const Napi::CallbackInfo& info);
  Napi::Value AccessedIn(const Napi::CallbackInfo& info);
  Napi::Value Learn(const Napi::CallbackInfo& info);
  Napi::Value Forget(const Napi::CallbackInfo& info);
  Napi::Value RefreshDirectory(const Napi::CallbackInfo& info);
  Napi::Value RefreshNames(const Napi::CallbackInfo& info);
  Napi::Value TakeChanged(const Napi::CallbackInfo& info);
  Napi::Value Prune(const Napi::CallbackInfo& info);
  Napi::Value IsLate(const Napi::CallbackInfo& info);
  Napi::Value NamesGeneration(const Napi::CallbackInfo& info);
  Napi::Value Objects(const Napi::CallbackInfo& info);
  Napi::Value Growth(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);

  // The id in argument 0; throws (and says false) if there is no such object.
  bool Id(const Napi::CallbackInfo& info, uint32_t* id);

  std::shared_ptr<RootDirectory> root_;
  std::unique_ptr<HandleIndex> index_;
  // Answers of pathsOf that were cut short.
  uint64_t left_out_ = 0;
  // Shared with the walk's thread, which may outlive this object.
  std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};
