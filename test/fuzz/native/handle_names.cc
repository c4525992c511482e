// Fuzzes the index's memory: objects by handles that clients and the kernel send, their names, and
// the hashes of their handles under export keys.
// Input: a series of steps.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>

#include "index/export_hashes.h"
#include "index/name_tree.h"

namespace {

constexpr uint32_t kLimit = 64;

void Check(bool good) {
  if (!good) abort();
}

// Few different ones, so that steps meet.
std::string HandleBytes(FuzzedDataProvider* input) {
  const size_t size = input->PickValueInArray<size_t>({8, 12, 16, 20, 24, 32, 128, 255});
  std::string bytes(size, static_cast<char>(input->ConsumeIntegralInRange<int>(0, 40)));
  return bytes;
}

HandleView View(uint8_t type, const std::string& bytes) {
  return {type, static_cast<uint8_t>(bytes.size()), reinterpret_cast<const uint8_t*>(bytes.data())};
}

uint8_t HandleType(FuzzedDataProvider* input) {
  return input->PickValueInArray<uint8_t>({0x01, 0x02, 0x81, 0x82, 0x4d, 0x4e, 0x4f, 0xfe});
}

class Steps {
 public:
  explicit Steps(FuzzedDataProvider* input) : input_(input) {
    const std::string root(8, '\1');
    tree_.SetRoot(View(0x01, root));
    tree_.SetKind(NameTree::kRoot, Kind::kDirectory);
  }

  void Run() {
    while (input_->remaining_bytes() > 0) Step();
    for (uint32_t id = 0; id < tree_.size(); id++) LookAt(id);
    tree_.TakeChanged();
  }

 private:
  // One that is in use.
  uint32_t Id() {
    uint32_t id = input_->ConsumeIntegralInRange<uint32_t>(0, tree_.size() - 1);
    return tree_.InUse(id) ? id : NameTree::kRoot;
  }

  std::string Name() {
    return std::string(input_->PickValueInArray<size_t>({1, 2, 255, 4096}),
                       static_cast<char>('a' + input_->ConsumeIntegralInRange<int>(0, 7)));
  }

  void Step() {
    switch (input_->ConsumeIntegralInRange<int>(0, 11)) {
      case 0:
      case 1:
        return Add();
      case 2:
      case 3: {
        const uint32_t parent = Id(), id = Id();
        const std::string name = Name();
        if (tree_.Link(parent, name, id)) Check(tree_.Child(parent, name) == id);
        return;
      }
      case 4: {
        const uint32_t parent = Id();
        const std::string name = Name();
        tree_.Unlink(parent, name);
        Check(tree_.Child(parent, name) == kNone);
        return;
      }
      case 5:
        return tree_.Settle();
      case 6: {
        const uint32_t dir = Id();
        tree_.BeginListing(dir);
        return tree_.EndListing(dir);
      }
      case 7:
        tree_.Prune([this](uint32_t id) { hashes_.Remove(id, tree_.HandleOf(id), false); });
        return;
      case 8:
        return AddKey();
      case 9:
        hashes_.Find(input_->ConsumeIntegral<uint32_t>());
        return;
      case 10:
        tree_.BeginLate();
        tree_.TakeChanged();
        return;
      case 11:
        return LookAt(Id());
    }
  }

  void Add() {
    const uint8_t type = HandleType(input_);
    const std::string bytes = HandleBytes(input_);
    const HandleView handle = OwnPart(View(type, bytes));
    bool added = false;
    const uint32_t id = tree_.FindOrAdd(handle, &added);
    if (id == kNone) return;
    Check(tree_.Find(handle) == id && tree_.HandleOf(id) == handle);
    if (!added) return;
    if (input_->ConsumeBool()) tree_.SetKind(id, Kind::kDirectory);
    hashes_.Add(id, handle, false);
  }

  void AddKey() {
    ExportKey key;
    key.fsid_type = input_->ConsumeIntegral<uint8_t>();
    key.fsid = input_->ConsumeBytesAsString(input_->ConsumeIntegralInRange<size_t>(0, 32));
    key.with_parents = input_->ConsumeBool();
    const ExportHashes::Added added = hashes_.AddKey(key);
    for (uint32_t id = 0; id < tree_.size(); id++) {
      if (!tree_.InUse(id)) continue;
      const bool is_root = id == NameTree::kRoot;
      if (added == ExportHashes::Added::kNewest)
        hashes_.AddNewest(id, tree_.HandleOf(id), is_root);
      else if (added == ExportHashes::Added::kChanged)
        hashes_.Add(id, tree_.HandleOf(id), is_root);
    }
  }

  void LookAt(uint32_t id) {
    if (!tree_.InUse(id)) return;
    bool left_out = false;
    tree_.Paths(id, &left_out);
    tree_.Gone(id);
    tree_.ParentOf(id);
    const HandleView handle = tree_.HandleOf(id);
    uint8_t room[2 * 255];
    HandleView both;
    WithParent(handle, tree_.HandleOf(NameTree::kRoot), room, &both);
  }

  FuzzedDataProvider* input_;
  NameTree tree_{kLimit};
  ExportHashes hashes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  Steps(&input).Run();
  return 0;
}
