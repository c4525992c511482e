// See paths_worker.h.
#include "archive/paths_worker.h"

#include <errno.h>
#include <pthread.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "error.h"

namespace {

// Paths that a thread takes at once. Many shares, so that none of the threads waits long for the
// other: a processor may be busy with something else. Few, so that directories stay together.
constexpr size_t kShare = 256;

void* Call(void* given) {
  (*static_cast<std::function<void()>*>(given))();
  return nullptr;
}

}  // namespace

PathsWorker::PathsWorker(Napi::Env env, const char* name, const RootTree& tree, std::string flat)
    : Napi::AsyncWorker(env, name),
      flat_(std::move(flat)),
      deferred_(Napi::Promise::Deferred::New(env)) {
  for (size_t at = 0; at < flat_.size(); at = flat_.find('\0', at) + 1)
    if (count_++ % kShare == 0) starts_.push_back(at);
  if (!tree_.OpenSame(tree) || !other_.OpenSame(tree)) err_ = errno;
}

void PathsWorker::TakeShares(RootTree* tree) {
  for (size_t share = next_++; share < starts_.size(); share = next_++) {
    const size_t end = share + 1 < starts_.size() ? starts_[share + 1] : flat_.size();
    const std::string_view all(flat_);
    Take(tree, all.substr(starts_[share], end - starts_[share]), share * kShare);
  }
}

void PathsWorker::Execute() {
  if (err_ == 0) {
    std::function<void()> other = [this] { TakeShares(&other_); };
    pthread_t thread;
    // Where no more threads are allowed, this one takes all.
    const bool together = starts_.size() > 1 && pthread_create(&thread, nullptr, Call, &other) == 0;
    TakeShares(&tree_);
    if (together) pthread_join(thread, nullptr);
  }
  tree_.Close();
  other_.Close();
}

void PathsWorker::OnOK() {
  if (err_ != 0)
    deferred_.Reject(SystemError(Env(), err_, "fcntl").Value());
  else
    deferred_.Resolve(Result());
}
