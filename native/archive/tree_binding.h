// The JavaScript class `RootTree`: thin calls into root_tree.h.
// Owns one RootTree for each object. Must not decide what a missing path means.
#pragma once
#include <napi.h>

#include <string>

#include "archive/root_tree.h"

class TreeBinding : public Napi::ObjectWrap<TreeBinding> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit TreeBinding(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TreeBinding>(info) {}

  const RootTree& tree() const { return tree_; }

 private:
  Napi::Value Open(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value MountIds(const Napi::CallbackInfo& info);
  Napi::Value Stat(const Napi::CallbackInfo& info);
  Napi::Value ReadLink(const Napi::CallbackInfo& info);
  Napi::Value List(const Napi::CallbackInfo& info);
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Attributes(const Napi::CallbackInfo& info);
  Napi::Value Attribute(const Napi::CallbackInfo& info);
  Napi::Value Symlinks(const Napi::CallbackInfo& info);
  Napi::Value LookInto(const Napi::CallbackInfo& info);
  Napi::Value LookAt(const Napi::CallbackInfo& info);

  std::string AttributesOf(const std::string& path);

  RootTree tree_;
};
