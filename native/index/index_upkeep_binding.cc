// NativeHandleIndex: what keeps it true and small. See index_object.h.
#include <algorithm>

#include "index/index_object.h"

Napi::Value IndexBinding::RefreshDirectory(const Napi::CallbackInfo& info) {
  HandleView handle;
  bool listed = HandleOf(info, 0, &handle) && index_->RefreshDirectory(handle);
  return Napi::Boolean::New(info.Env(), listed);
}

Napi::Value IndexBinding::RefreshNames(const Napi::CallbackInfo& info) {
  HandleView handle;
  if (!HandleOf(info, 0, &handle)) return Napi::Boolean::New(info.Env(), false);
  auto array = info[2].As<Napi::Array>();
  std::vector<std::string> names;
  for (uint32_t i = 0; i < array.Length(); i++) names.emplace_back(BytesOf(array.Get(i)));
  return Napi::Boolean::New(info.Env(), index_->RefreshNames(handle, names));
}

static Napi::Value Ids(Napi::Env env, const std::vector<uint32_t>& ids) {
  Napi::Uint32Array array = Napi::Uint32Array::New(env, ids.size());
  std::copy(ids.begin(), ids.end(), array.Data());
  return array;
}

Napi::Value IndexBinding::TakeChanged(const Napi::CallbackInfo& info) {
  return Ids(info.Env(), index_->TakeChanged());
}

Napi::Value IndexBinding::Prune(const Napi::CallbackInfo& info) {
  return Ids(info.Env(), index_->Prune());
}

Napi::Value IndexBinding::IsLate(const Napi::CallbackInfo& info) {
  uint32_t id;
  if (!Id(info, &id)) return info.Env().Undefined();
  return Napi::Boolean::New(info.Env(), index_->tree().Late(id));
}

Napi::Value IndexBinding::NamesGeneration(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(index_->tree().generation()));
}

Napi::Value IndexBinding::Objects(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), index_->tree().size());
}

Napi::Value IndexBinding::Growth(const Napi::CallbackInfo& info) {
  const NameTree& tree = index_->tree();
  Napi::Object object = Napi::Object::New(info.Env());
  auto set = [&](const char* name, double value) {
    object.Set(name, Napi::Number::New(info.Env(), value));
  };
  set("objects", tree.objects());
  set("names", tree.names());
  set("refused", static_cast<double>(tree.refused()));
  set("leftOut", static_cast<double>(left_out_));
  set("bytes", static_cast<double>(index_->Bytes()));
  return object;
}
