// Fuzzes what becomes of the NFS server's trace records: the plan that is made of format files, and
// the interpreter that follows it.
// Input: a byte of options, a byte that names a kernel of the fixtures, then packed records (u32
// size, u32 cpu, u64 time, bytes). A kernel beyond the fixtures' is in the input: sections
// `system/name\n<format file>\0` up to an empty one, before the records.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "nfsd/interpreter.h"

namespace {

using Formats = std::map<std::string, std::string>;

constexpr size_t kPackedHeader = 16;

std::vector<Formats>* kernels;

std::string SystemOf(const std::string& name) {
  if (name.rfind("fhv", 0) == 0) return kProbeGroup;
  return name.rfind("svc_", 0) == 0 ? "sunrpc" : "nfsd";
}

Formats FormatsOfFolder(const std::filesystem::path& folder) {
  Formats out;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string name = file.path().stem();
    out[SystemOf(name) + "/" + name] = {std::istreambuf_iterator<char>(stream), {}};
  }
  return out;
}

// Takes the sections off the input's front.
Formats FormatsOfInput(std::string_view* input) {
  Formats out;
  while (!input->empty()) {
    const size_t end = std::min(input->find('\0'), input->size());
    const std::string_view section = input->substr(0, end);
    input->remove_prefix(std::min(end + 1, input->size()));
    if (section.empty()) break;
    const size_t line = std::min(section.find('\n'), section.size());
    out[std::string(section.substr(0, line))] = section.substr(line);
  }
  return out;
}

}  // namespace

// NFSROOT_TRACE_FIXTURES: the folder with the fixtures of all kernels.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  kernels = new std::vector<Formats>;
  const char* fixtures = getenv("NFSROOT_TRACE_FIXTURES");
  if (fixtures == nullptr) abort();
  for (const char* kernel : {"5.10", "6.1", "6.12", "7.x"})
    kernels->push_back(
        FormatsOfFolder(std::string(fixtures) + "/nfsd-" + std::string(kernel) + "/formats"));
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  PlanOptions options;
  options.best = static_cast<NfsTier>(data[0] & 3);
  if ((data[0] & 4) != 0) options.probe = "fhv";
  options.prefer_probe = (data[0] & 8) != 0;
  options.no_hashes = (data[0] & 16) != 0;
  // So small that a table gets full.
  const size_t row_limit = (data[0] & 32) != 0 ? 4 : 1024;
  std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Formats formats = data[1] < kernels->size() ? (*kernels)[data[1]] : FormatsOfInput(&input);
  const auto load = [&formats](const std::string& system, const std::string& name,
                               std::string* text) {
    const auto found = formats.find(system + "/" + name);
    if (found == formats.end()) return false;
    *text = found->second;
    return true;
  };
  NfsInterpreter interpreter(PlanEvents(load, options), row_limit, 0);
  uint64_t records = 0;
  while (input.size() >= kPackedHeader) {
    uint32_t length;
    RawRecord record{};
    memcpy(&length, input.data(), sizeof length);
    memcpy(&record.time_ns, input.data() + 8, sizeof record.time_ns);
    input.remove_prefix(kPackedHeader);
    // Its own memory, so that a byte too many is seen.
    const std::vector<uint8_t> bytes(input.begin(),
                                     input.begin() + std::min<size_t>(length, input.size()));
    record.data = bytes.data();
    record.size = static_cast<uint32_t>(bytes.size());
    interpreter.Handle(record);
    input.remove_prefix(bytes.size());
    records++;
    if (records % 16 == 0) interpreter.Take().Encode(record.time_ns);
    if (records % 24 == 0) interpreter.AddLoss("trace-ring", 0, 1, 0, record.time_ns);
  }
  interpreter.Take().Encode(0);
  if (interpreter.stats().events != records) abort();
  return 0;
}
