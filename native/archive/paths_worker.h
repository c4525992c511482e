// Looks at many paths of a tree on two threads, since who waits for it can do nothing else
// meanwhile. Owns the threads, a tree for each, and which of them takes what. Must not know what is
// looked for.
#pragma once
#include <napi.h>

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "archive/root_tree.h"

class PathsWorker : public Napi::AsyncWorker {
 public:
  // `flat`: the paths, which each end by a NUL; sorted ones are quickest.
  PathsWorker(Napi::Env env, const char* name, const RootTree& tree, std::string flat);
  Napi::Promise Promise() const { return deferred_.Promise(); }

 protected:
  size_t count() const { return count_; }
  // Called by both threads, each with its own tree, for one share of the paths after the other.
  // `first` is the number of a share's first path.
  virtual void Take(RootTree* tree, std::string_view paths, size_t first) = 0;
  // On the main thread, when all shares were taken.
  virtual Napi::Value Result() = 0;

 private:
  void Execute() final;
  void OnOK() final;
  void TakeShares(RootTree* tree);

  const std::string flat_;
  size_t count_ = 0;
  std::vector<size_t> starts_;  // where in `flat_` each share begins
  std::atomic<size_t> next_{0};
  RootTree tree_;
  RootTree other_;
  int err_ = 0;
  const Napi::Promise::Deferred deferred_;
};
