// How every native room reports a failed system call to JavaScript.
// Owns nothing; header only.
#pragma once
#include <napi.h>

#include <cerrno>
#include <cstring>
#include <string>

// Builds a JavaScript Error with `errno` (positive number), `syscall` (name) and `subject`
// (what it was done to); the TypeScript face turns it into a TraceError with a hint.
inline Napi::Error SystemError(Napi::Env env, int err, const char* syscall,
                               const std::string& subject = {}) {
  std::string text = std::string(syscall) + ": " + strerror(err);
  if (!subject.empty()) text += ": " + subject;
  Napi::Error error = Napi::Error::New(env, text);
  error.Value().Set("errno", Napi::Number::New(env, err));
  error.Value().Set("syscall", Napi::String::New(env, syscall));
  if (!subject.empty())
    error.Value().Set("subject", Napi::Buffer<char>::Copy(env, subject.data(), subject.size()));
  return error;
}
