#include "nfsd/batch_table.h"

#include <algorithm>
#include <functional>

namespace {

constexpr uint32_t kMagic = 0x3344464e;  // "NFD3"

class Writer {
 public:
  void U16(uint16_t value) { Put(&value, sizeof value); }
  void U32(uint32_t value) { Put(&value, sizeof value); }
  // Every number of a batch fits a double: microseconds since boot, byte and event counts < 2^53.
  void Number(uint64_t value) {
    double number = static_cast<double>(value);
    Put(&number, sizeof number);
  }
  void Text(std::string_view bytes) {
    size_t length = std::min<size_t>(bytes.size(), 0xfffe);
    U16(static_cast<uint16_t>(length));
    out.append(bytes.data(), length);
  }

  std::string out;

 private:
  void Put(const void* data, size_t size) { out.append(static_cast<const char*>(data), size); }
};

uint64_t Mix(uint64_t a, uint64_t b) {
  uint64_t value = (a ^ (b + 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull;
  return value ^ (value >> 32);
}

}  // namespace

size_t RowKeyHash::operator()(const RowKey& key) const {
  uint64_t value =
      Mix(uint64_t{key.hash} << 32 | key.client, uint64_t{key.access} << 32 | key.type);
  return Mix(value, uint64_t{key.epoch} << 8 | static_cast<uint32_t>(key.kind));
}

size_t LookupKeyHash::operator()(const LookupKey& key) const {
  return Mix(std::hash<std::string>()(key.name),
             Mix(uint64_t{key.directory} << 32 | key.client, key.epoch));
}

BatchTable::BatchTable(size_t row_limit) : row_limit_(row_limit), clients_{std::string()} {
  client_index_.emplace(std::string(), 0);
}

uint32_t BatchTable::Client(const std::string& text) {
  auto found = client_index_.find(text);
  if (found != client_index_.end()) return found->second;
  if (clients_.size() >= kMaxClients) return kNoClient;
  uint32_t index = static_cast<uint32_t>(clients_.size());
  clients_.push_back(text);
  client_index_.emplace(text, index);
  return index;
}

RowCounts* BatchTable::Row(const RowKey& key) {
  auto found = rows_.find(key);
  if (found != rows_.end()) return &found->second;
  if (rows_.size() >= row_limit_) return nullptr;
  return &rows_.emplace(key, RowCounts{}).first->second;
}

RowCounts* BatchTable::Find(const RowKey& key) {
  auto found = rows_.find(key);
  return found == rows_.end() ? nullptr : &found->second;
}

void BatchTable::AddUnsigned(uint32_t hash, uint32_t unsigned_hash) {
  if (unsigned_.size() < row_limit_) unsigned_[hash] = unsigned_hash;
}

void BatchTable::AddLookup(LookupKey key, uint64_t at_ns, uint64_t order) {
  auto found = lookups_.find(key);
  if (found == lookups_.end()) {
    size_t bytes = lookup_bytes_ + key.name.size();
    if (lookups_.size() >= row_limit_ || bytes > kMaxLookupBytes) {
      lookups_dropped_[key.client]++;
      return;
    }
    lookup_bytes_ = bytes;
    found = lookups_.emplace(std::move(key), LookupCounts{0, at_ns, at_ns, order}).first;
  }
  found->second.count++;
  found->second.last_ns = at_ns;
}

void BatchTable::AddLoss(std::string_view where, int lane, uint64_t count, uint64_t from_ns,
                         uint64_t to_ns) {
  Loss& loss = losses_[{std::string(where), lane}];
  loss.from_ns = loss.count == 0 ? from_ns : std::min(loss.from_ns, from_ns);
  loss.to_ns = std::max(loss.to_ns, to_ns);
  loss.count += count;
}

std::string BatchTable::Encode(uint64_t until_ns) const {
  std::vector<std::pair<const RowKey*, const RowCounts*>> rows;
  rows.reserve(rows_.size());
  for (const auto& [key, counts] : rows_)
    if (counts.count > 0) rows.emplace_back(&key, &counts);
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.second->order < b.second->order; });

  std::vector<std::pair<const LookupKey*, const LookupCounts*>> lookups;
  lookups.reserve(lookups_.size());
  for (const auto& [key, counts] : lookups_) lookups.emplace_back(&key, &counts);
  std::sort(lookups.begin(), lookups.end(),
            [](const auto& a, const auto& b) { return a.second->order < b.second->order; });

  Writer writer;
  writer.out.reserve(64 + rows.size() * 72 + markers_.size() * 96 + clients_.size() * 18 +
                     lookups.size() * 46 + lookup_bytes_);
  writer.U32(kMagic);
  writer.U32(static_cast<uint32_t>(clients_.size()));
  writer.U32(static_cast<uint32_t>(rows.size()));
  writer.U32(static_cast<uint32_t>(markers_.size()));
  writer.U32(static_cast<uint32_t>(losses_.size()));
  writer.U32(static_cast<uint32_t>(lookups.size()));
  writer.U32(static_cast<uint32_t>(lookups_dropped_.size()));
  writer.U32(static_cast<uint32_t>(unsigned_.size()));
  writer.Number(until_ns / 1000);
  for (const std::string& client : clients_) writer.Text(client);
  for (const auto& [key, counts] : rows) {
    writer.U32(key->epoch);
    writer.U32(key->client);
    writer.U32(key->hash);
    writer.U32(static_cast<uint32_t>(key->kind));
    writer.U32(key->type);
    writer.U32(key->access);
    writer.Number(counts->count);
    writer.Number(counts->bytes);
    writer.Number(counts->min_offset);
    writer.Number(counts->first_ns / 1000);
    writer.Number(counts->last_ns / 1000);
    writer.Number(counts->order);
  }
  for (const Marker& marker : markers_) {
    writer.U32(marker.epoch);
    writer.U32(static_cast<uint32_t>(marker.kind));
    writer.U32(marker.hash);
    writer.U32(marker.cl_boot);
    writer.U32(marker.cl_id);
    writer.U32(marker.has_name ? 1 : 0);
    writer.Number(marker.at_ns / 1000);
    writer.Text(marker.client);
    writer.Text(marker.verifier);
    writer.Text(marker.old_verifier);
    writer.Text(marker.name);
  }
  for (const auto& [place, loss] : losses_) {
    writer.Text(place.first);
    writer.Number(loss.count);
    writer.Number(loss.from_ns / 1000);
    writer.Number(loss.to_ns / 1000);
  }
  for (const auto& [key, counts] : lookups) {
    writer.U32(key->epoch);
    writer.U32(key->client);
    writer.U32(key->directory);
    writer.Number(counts->count);
    writer.Number(counts->first_ns / 1000);
    writer.Number(counts->last_ns / 1000);
    writer.Number(counts->order);
    writer.Text(key->name);
  }
  for (const auto& [client, count] : lookups_dropped_) {
    writer.U32(client);
    writer.Number(count);
  }
  for (const auto& [hash, unsigned_hash] : unsigned_) {
    writer.U32(hash);
    writer.U32(unsigned_hash);
  }
  return std::move(writer.out);
}
