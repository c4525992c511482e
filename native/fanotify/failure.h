// A failed system call on its way to the binding. Owns only the type.
#pragma once
#include <cerrno>
#include <string>

namespace fan {

struct Failure {
  int err = 0;  // 0: none
  const char* call = "";
  std::string subject;
  explicit operator bool() const { return err != 0; }

  static Failure Now(const char* call, std::string subject = {}) {
    return {errno, call, std::move(subject)};
  }
};

}  // namespace fan
