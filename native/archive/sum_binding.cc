// See sum_binding.h.
#include "archive/sum_binding.h"

#include <errno.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "error.h"
#include "xxh64.h"

namespace {

constexpr size_t kBuffer = 256 * 1024;

class Worker : public Napi::AsyncWorker {
 public:
  Worker(Napi::Env env, int fd, uint64_t length, const std::string& before)
      : Napi::AsyncWorker(env, "nfsroot-trace:sum"),
        fd_(fd),
        length_(length),
        deferred_(Napi::Promise::Deferred::New(env)) {
    sum_.Add(before.data(), before.size());
  }
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    const std::unique_ptr<char[]> buffer(new char[kBuffer]);
    for (uint64_t done = 0; done < length_;) {
      const size_t want = static_cast<size_t>(std::min<uint64_t>(length_ - done, kBuffer));
      const ssize_t count = pread(fd_, buffer.get(), want, static_cast<off_t>(done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) {
        err_ = count == 0 ? ENODATA : errno;
        return;
      }
      sum_.Add(buffer.get(), static_cast<size_t>(count));
      done += static_cast<uint64_t>(count);
    }
  }
  void OnOK() override {
    if (err_ != 0)
      deferred_.Reject(SystemError(Env(), err_, "pread").Value());
    else
      deferred_.Resolve(Napi::BigInt::New(Env(), sum_.Sum()));
  }

 private:
  const int fd_;
  const uint64_t length_;
  Xxh64 sum_;
  int err_ = 0;
  Napi::Promise::Deferred deferred_;
};

// sumFile(fd, length, before: Buffer) -> Promise of the XXH64 of `before` and the file's first
// `length` bytes, a BigInt. The descriptor stays open until then.
Napi::Value SumFile(const Napi::CallbackInfo& info) {
  const auto before = info[2].As<Napi::Buffer<char>>();
  auto* const worker = new Worker(info.Env(), info[0].As<Napi::Number>().Int32Value(),
                                  static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value()),
                                  {before.Data(), before.Length()});
  const Napi::Promise promise = worker->Promise();
  worker->Queue();
  return promise;
}

}  // namespace

Napi::Function DefineSumFile(Napi::Env env) { return Napi::Function::New(env, SumFile, "sumFile"); }
