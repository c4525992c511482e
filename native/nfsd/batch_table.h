// What was counted since the last drain: rows, markers, losses, each bounded.
// Owns the aggregation and the flat encoding that TypeScript decodes (src/capture/nfsd-decode.ts).
// Must not know tracepoints, threads or rings.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

enum class RowKind : uint32_t { kVerify = 0, kVerifyError = 1, kRead = 2, kWrite = 3 };

// The order is part of the encoding.
enum class MarkerKind : uint32_t {
  kFsinfo,
  kFresh,
  kConfirmed,
  kConfirmedR,
  kDestroyed,
  kVerfMismatch,
  kReplaced,
  kStale,
  kExpireUnconf,
  kPurged,
  kReclaimComplete,
};

struct RowKey {
  uint32_t epoch = 0;
  uint32_t client = 0;
  uint32_t hash = 0;
  RowKind kind = RowKind::kVerify;
  uint32_t type = 0;
  uint32_t access = 0;

  bool operator==(const RowKey& other) const {
    return epoch == other.epoch && client == other.client && hash == other.hash &&
           kind == other.kind && type == other.type && access == other.access;
  }
};

struct RowKeyHash {
  size_t operator()(const RowKey& key) const;
};

struct RowCounts {
  uint64_t count = 0;
  uint64_t bytes = 0;
  uint64_t min_offset = 0;
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;
  uint64_t order = 0;
};

struct Marker {
  uint32_t epoch = 0;
  MarkerKind kind = MarkerKind::kFsinfo;
  std::string client;
  uint32_t hash = 0;
  uint32_t cl_boot = 0;
  uint32_t cl_id = 0;
  uint64_t at_ns = 0;
  std::string verifier;      // 8 bytes or none
  std::string old_verifier;  // 8 bytes or none
  bool has_name = false;
  std::string name;
};

// A name that was looked up in a directory.
struct LookupKey {
  uint32_t epoch = 0;
  uint32_t client = 0;
  uint32_t directory = 0;  // hash of its handle
  std::string name;

  bool operator==(const LookupKey& other) const {
    return epoch == other.epoch && client == other.client && directory == other.directory &&
           name == other.name;
  }
};

struct LookupKeyHash {
  size_t operator()(const LookupKey& key) const;
};

struct LookupCounts {
  uint64_t count = 0;
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;
  uint64_t order = 0;
};

struct Loss {
  uint64_t count = 0;
  uint64_t from_ns = 0;
  uint64_t to_ns = 0;
};

class BatchTable {
 public:
  // A table whose rows, clients and markers never outgrow their limits; what does not fit is
  // counted as loss `trace-table`.
  static constexpr size_t kMaxClients = 4096;
  static constexpr size_t kMaxMarkers = 4096;
  // Names come from the network, up to 255 bytes each (NFSv4: more). What is beyond is counted for
  // its client.
  static constexpr size_t kMaxLookupBytes = 4u << 20;

  explicit BatchTable(size_t row_limit = 65536);

  // The index of a client's text within this batch ('' is 0); kNoClient when the table is full.
  static constexpr uint32_t kNoClient = 0xffffffff;
  uint32_t Client(const std::string& text);

  // The counts of a row, made when it is new; nullptr when the table is full.
  RowCounts* Row(const RowKey& key);
  // The counts of a row if it is there.
  RowCounts* Find(const RowKey& key);

  bool MarkersFull() const { return markers_.size() >= kMaxMarkers; }
  void AddMarker(Marker marker) { markers_.push_back(std::move(marker)); }

  // A handle's hash, and the hash of all but its last 8 bytes: of the handle before it was signed,
  // if it is. No more than rows.
  void AddUnsigned(uint32_t hash, uint32_t unsigned_hash);

  void AddLookup(LookupKey key, uint64_t at_ns, uint64_t order);

  // Losses of the same place and lane (a CPU, say) add up and their times widen.
  void AddLoss(std::string_view where, int lane, uint64_t count, uint64_t from_ns, uint64_t to_ns);

  size_t rows() const { return rows_.size(); }

  // Rows that were counted back to nothing are left out; the rest in the order of their first
  // event.
  std::string Encode(uint64_t until_ns) const;

 private:
  size_t row_limit_;
  std::unordered_map<RowKey, RowCounts, RowKeyHash> rows_;
  std::unordered_map<std::string, uint32_t> client_index_;
  std::vector<std::string> clients_;
  std::vector<Marker> markers_;
  std::unordered_map<LookupKey, LookupCounts, LookupKeyHash> lookups_;
  size_t lookup_bytes_ = 0;
  std::map<uint32_t, uint32_t> unsigned_;
  std::map<uint32_t, uint64_t> lookups_dropped_;  // by client
  std::map<std::pair<std::string, int>, Loss> losses_;
};
