#include "nfsd/interpreter.h"

#include <algorithm>
#include <climits>
#include <utility>

#include "crc32.h"
#include "nfsd/client_address.h"

namespace {

constexpr uint32_t kNfsV3 = 3;
constexpr uint32_t kProcFsinfo = 19;
// RFC 8881: a client owner's opaque name has at most 1024 bytes.
constexpr size_t kMaxName = 1024;
constexpr size_t kMaxThreads = 8192;
constexpr size_t kSignature = 8;
// A call that waits for mountd may take this long; later than this after the start, a transfer
// without its call is loss and not a call from before.
constexpr uint64_t kInFlightNs = 5'000'000'000;

// What a check's key holds until its client's number is known.
constexpr uint32_t kCallsClient = 1;
constexpr uint32_t kUnknownClient = 0;

uint32_t Low(uint64_t value) { return static_cast<uint32_t>(value); }

// sockaddr without its port (bytes 2 and 3), which says nothing about who the client is.
std::string WithoutPort(std::string_view sockaddr) {
  std::string out(sockaddr);
  if (out.size() >= 4) out[2] = out[3] = 0;
  return out;
}

}  // namespace

NfsInterpreter::NfsInterpreter(const EventPlan& plan, size_t row_limit, uint64_t began_ns)
    : layout_of_id_(65536, 0),
      client_from_call_(plan.client_from_call),
      by_probe_(plan.by_probe),
      no_hashes_(plan.no_hashes),
      row_limit_(row_limit),
      began_ns_(began_ns),
      batch_(row_limit) {
  for (const PlannedEvent& event : plan.events) {
    if (event.format.id >= layout_of_id_.size() || layouts_.size() >= 255) continue;
    layouts_.push_back(MakeLayout(event));
    layout_of_id_[event.format.id] = static_cast<uint8_t>(layouts_.size());
    // The common header is the same for all events of one kernel.
    common_type_ = ResolveField(event.format, "common_type");
    common_pid_ = ResolveField(event.format, "common_pid");
    if (event.kind == EventKind::kFhVerify || event.kind == EventKind::kFhProbe) has_verify_ = true;
  }
}

NfsInterpreter::Layout NfsInterpreter::MakeLayout(const PlannedEvent& event) {
  const TraceFormat& format = event.format;
  Layout layout{};
  layout.kind = event.kind;
  layout.marker = event.marker;
  layout.xid = ResolveField(format, "xid");
  layout.fh_hash = ResolveField(format, "fh_hash");
  layout.type = ResolveField(format, "type");
  layout.access = ResolveField(format, "access");
  layout.client = ResolveField(format, "client");
  layout.offset = ResolveField(format, "offset");
  layout.len = ResolveField(format, "len");
  layout.vers = ResolveField(format, "vers");
  layout.proc = ResolveField(format, "proc");
  layout.service = ResolveField(format, "service");
  layout.addr = ResolveField(format, "addr");
  layout.cl_boot = ResolveField(format, "cl_boot");
  layout.cl_id = ResolveField(format, "cl_id");
  layout.verifier = ResolveField(format, "new_verifier");
  if (!layout.verifier.present) layout.verifier = ResolveField(format, "verifier");
  layout.old_verifier = ResolveField(format, "cl_verifier");
  layout.name = ResolveField(format, "name");
  layout.handle_size = ResolveField(format, "fsz");
  layout.handle = ResolveField(format, "raw");
  layout.ret = ResolveField(format, "ret");
  return layout;
}

void NfsInterpreter::Handle(const RawRecord& record) {
  stats_.events++;
  uint8_t slot = layout_of_id_[common_type_.Number(record) & 0xffff];
  if (slot == 0) {
    stats_.unknown_records++;
    return;
  }
  const Layout& layout = layouts_[slot - 1];
  if (layout.kind == EventKind::kClid) return OnClid(layout, record);
  Thread* thread = ThreadOf(record);
  switch (layout.kind) {
    case EventKind::kSvcProcess:
      return OnSvcProcess(layout, record, thread);
    case EventKind::kFhVerify:
      return OnVerify(layout, record, thread);
    case EventKind::kFhVerifyErr:
      return OnVerifyError(layout, record, thread);
    case EventKind::kFhProbe:
      return OnProbe(layout, record, thread);
    case EventKind::kFhProbeReturn:
      return OnProbeReturn(layout, record, thread);
    case EventKind::kLookup:
      return OnLookup(layout, record, thread);
    case EventKind::kRead:
    case EventKind::kWrite:
      return OnTransfer(layout, record, thread);
    case EventKind::kClid:
      return;
  }
}

void NfsInterpreter::OnSvcProcess(const Layout& layout, const RawRecord& record, Thread* thread) {
  thread->verify_fresh = false;
  uint32_t xid = Low(layout.xid.Number(record));
  if (client_from_call_) {
    thread->has_call = true;
    thread->call_loss = losses_;
    thread->xid = xid;
    std::string_view addr = layout.addr.Text(record);
    if (addr != thread->sockaddr) {
      thread->sockaddr = addr;
      thread->client = AddressFromText(addr);
      thread->client_batch = 0;
    }
  }
  bool nfs = !layout.service.present || layout.service.Text(record) == "nfsd";
  if (!nfs || layout.vers.Number(record) != kNfsV3 || layout.proc.Number(record) != kProcFsinfo) {
    thread->fsinfo_pending = false;
    return;
  }
  if (has_verify_) {
    thread->fsinfo_pending = true;
    thread->fsinfo_xid = xid;
    return;
  }
  Marker marker;
  marker.kind = MarkerKind::kFsinfo;
  marker.client = thread->client;
  AddMarker(std::move(marker), record.time_ns);
}

void NfsInterpreter::OnVerify(const Layout& layout, const RawRecord& record, Thread* thread) {
  uint32_t xid = Low(layout.xid.Number(record));
  if (!client_from_call_) {
    SetClient(thread, layout.client.Bytes(record));
    thread->xid = xid;
    thread->has_call = true;
  }
  RowKey key;
  key.hash = Low(layout.fh_hash.Number(record));
  key.type = Low(layout.type.Number(record));
  key.access = Low(layout.access.Number(record));
  key.client = thread->has_call && thread->xid == xid ? kCallsClient : kUnknownClient;
  (key.hash == 0 ? stats_.zero_hashes : stats_.hashes)++;
  CountCheck(key, xid, record, thread);
}

void NfsInterpreter::OnProbe(const Layout& layout, const RawRecord& record, Thread* thread) {
  thread->verify_fresh = false;
  if (!thread->has_call && record.time_ns < began_ns_ + kInFlightNs) {
    stats_.in_flight++;
    return;
  }
  std::string_view bytes = layout.handle.Bytes(record);
  uint64_t size = layout.handle_size.Number(record);
  if (size == 0) return;  // a current handle that was never set: the server refuses the call
  if (size > bytes.size()) {
    batch_.AddLoss("trace-handle", 0, 1, record.time_ns, record.time_ns);
    return;
  }
  // The signature of a signed handle (sign_fh, Linux 7.2) is the last 8 bytes.
  size_t unsigned_size = size > kSignature ? size - kSignature : 0;
  uint32_t unsigned_hash = Crc32(0, bytes.data(), unsigned_size);
  RowKey key;
  key.hash = Crc32(unsigned_hash, bytes.data() + unsigned_size, size - unsigned_size);
  key.type = Low(layout.type.Number(record));
  key.access = Low(layout.access.Number(record));
  bool sure = thread->has_call && thread->call_loss == losses_;
  key.client = sure ? kCallsClient : kUnknownClient;
  if (CountCheck(key, thread->xid, record, thread)) batch_.AddUnsigned(key.hash, unsigned_hash);
}

// `key` without epoch and kind; its client is kCallsClient or kUnknownClient. True for a new row.
bool NfsInterpreter::CountCheck(RowKey key, uint32_t xid, const RawRecord& record, Thread* thread) {
  if (thread->fsinfo_pending) {
    thread->fsinfo_pending = false;
    if (thread->fsinfo_xid == xid) {
      Marker marker;
      marker.kind = MarkerKind::kFsinfo;
      marker.client = thread->client;
      marker.hash = key.hash;
      AddMarker(std::move(marker), record.time_ns);
    }
  }
  key.epoch = epoch_;
  key.client = key.client == kCallsClient ? ClientIndex(thread) : 0;
  key.kind = RowKind::kVerify;
  RowCounts* row = Count(key, record);
  thread->verify_fresh = true;
  thread->verify_xid = xid;
  thread->verify_key = key;
  thread->verify_batch = row == nullptr ? 0 : batch_number_;
  return row != nullptr && row->count == 1;
}

// The thread's last check failed. False: its row is drained already.
bool NfsInterpreter::TakeBack(Thread* thread) {
  if (thread->verify_batch != batch_number_) return false;
  RowCounts* row = batch_.Find(thread->verify_key);
  if (row != nullptr && row->count > 0) row->count--;
  return true;
}

void NfsInterpreter::OnVerifyError(const Layout& layout, const RawRecord& record, Thread* thread) {
  uint32_t xid = Low(layout.xid.Number(record));
  RowKey key;
  key.epoch = epoch_;
  key.hash = Low(layout.fh_hash.Number(record));
  key.type = Low(layout.type.Number(record));
  key.access = Low(layout.access.Number(record));
  stats_.denied++;
  const RowKey& last = thread->verify_key;
  bool same = thread->verify_fresh && thread->verify_xid == xid && last.hash == key.hash &&
              last.type == key.type && last.access == key.access;
  thread->verify_fresh = false;
  if (same && TakeBack(thread)) return;
  // No check was counted before it: the handle was stale, or its file unknown. Or it was counted in
  // a batch that is already gone: then the reader takes it back.
  if (!client_from_call_) {
    SetClient(thread, layout.client.Bytes(record));
    thread->xid = xid;
    thread->has_call = true;
  }
  key.kind = RowKind::kVerifyError;
  key.client = thread->has_call && thread->xid == xid ? ClientIndex(thread) : 0;
  Count(key, record);
}

void NfsInterpreter::OnProbeReturn(const Layout& layout, const RawRecord& record, Thread* thread) {
  if (layout.ret.Number(record) == 0 || !thread->verify_fresh) return;
  stats_.denied++;
  thread->verify_fresh = false;
  if (TakeBack(thread)) return;
  RowKey key = thread->verify_key;
  key.epoch = epoch_;
  key.kind = RowKind::kVerifyError;
  key.client = key.client == 0 ? 0 : ClientIndex(thread);
  Count(key, record);
}

// A name that somebody asked a directory for, there or not.
void NfsInterpreter::OnLookup(const Layout& layout, const RawRecord& record, Thread* thread) {
  std::string_view name = layout.name.Bytes(record);
  if (!name.empty() && name.back() == '\0') name.remove_suffix(1);
  if (name.empty() || name == "." || name == ".." || name.size() > NAME_MAX ||
      name.find('/') != std::string_view::npos || name.find('\0') != std::string_view::npos)
    return;
  if (!client_from_call_)
    SetClient(thread, layout.client.Bytes(record));
  else if (!thread->has_call || thread->xid != Low(layout.xid.Number(record)))
    return;
  uint32_t client = ClientIndex(thread);
  if (client == BatchTable::kNoClient) return;
  batch_.AddLookup({epoch_, client, Low(layout.fh_hash.Number(record)), std::string(name)},
                   record.time_ns, order_++);
}

void NfsInterpreter::OnTransfer(const Layout& layout, const RawRecord& record, Thread* thread) {
  thread->verify_fresh = false;
  RowKey key;
  if (thread->has_call && thread->xid == Low(layout.xid.Number(record))) {
    key.client = ClientIndex(thread);
  } else if (!thread->has_call && record.time_ns < began_ns_ + kInFlightNs) {
    stats_.in_flight++;
    return;
  } else {
    key.client = 0;
  }
  key.epoch = epoch_;
  key.hash = Low(layout.fh_hash.Number(record));
  if (no_hashes_ && thread->verify_xid == thread->xid) key.hash = thread->verify_key.hash;
  key.kind = layout.kind == EventKind::kRead ? RowKind::kRead : RowKind::kWrite;
  RowCounts* row = Count(key, record);
  if (row == nullptr) return;
  row->bytes += Low(layout.len.Number(record));
  if (layout.kind == EventKind::kWrite) return;
  uint64_t offset = layout.offset.Number(record);
  row->min_offset = row->count == 1 ? offset : std::min(row->min_offset, offset);
}

void NfsInterpreter::OnClid(const Layout& layout, const RawRecord& record) {
  Marker marker;
  marker.kind = layout.marker;
  marker.client = AddressFromSockaddr(layout.addr.Bytes(record));
  marker.cl_boot = Low(layout.cl_boot.Number(record));
  marker.cl_id = Low(layout.cl_id.Number(record));
  marker.verifier = std::string(layout.verifier.Bytes(record).substr(0, 8));
  marker.old_verifier = std::string(layout.old_verifier.Bytes(record).substr(0, 8));
  if (layout.name.present) {
    marker.has_name = true;
    std::string_view name = layout.name.Bytes(record);
    // The kernel counts the NUL that it puts behind; the name itself may hold others.
    if (!name.empty() && name.back() == '\0') name.remove_suffix(1);
    marker.name = std::string(name.substr(0, kMaxName));
  }
  AddMarker(std::move(marker), record.time_ns);
}

NfsInterpreter::Thread* NfsInterpreter::ThreadOf(const RawRecord& record) {
  uint32_t tid = Low(common_pid_.Number(record));
  auto found = threads_.find(tid);
  if (found != threads_.end()) return &found->second;
  // Server threads come and go with their number; forgetting all costs calls under way their join.
  if (threads_.size() >= kMaxThreads) threads_.clear();
  return &threads_[tid];
}

void NfsInterpreter::SetClient(Thread* thread, std::string_view sockaddr) {
  const std::string& known = thread->sockaddr;
  bool same = known.size() == sockaddr.size() && sockaddr.size() >= 4 &&
              known.compare(0, 2, sockaddr.substr(0, 2)) == 0 &&
              known.compare(4, std::string::npos, sockaddr.substr(4)) == 0;
  if (same) return;
  thread->sockaddr = WithoutPort(sockaddr);
  thread->client = AddressFromSockaddr(sockaddr);
  thread->client_batch = 0;
}

uint32_t NfsInterpreter::ClientIndex(Thread* thread) {
  if (thread->client_batch != batch_number_) {
    thread->client_index = batch_.Client(thread->client);
    thread->client_batch = batch_number_;
  }
  return thread->client_index;
}

RowCounts* NfsInterpreter::Count(const RowKey& key, const RawRecord& record) {
  RowCounts* row = key.client == BatchTable::kNoClient ? nullptr : batch_.Row(key);
  order_++;
  if (row == nullptr) {
    batch_.AddLoss("trace-table", 0, 1, record.time_ns, record.time_ns);
    return nullptr;
  }
  // A UDP client, or a call that was not seen. Where svc_process tells the clients, other services'
  // checks (the lock manager's) have none; the kprobe's plan hears of their calls too.
  bool wants_client = key.kind != RowKind::kVerifyError &&
                      (key.kind != RowKind::kVerify || !client_from_call_ || by_probe_);
  if (key.client == 0 && wants_client) {
    stats_.join_mismatches++;
    batch_.AddLoss("trace-join", 0, 1, record.time_ns, record.time_ns);
  }
  if (row->count == 0) *row = RowCounts{0, 0, 0, record.time_ns, record.time_ns, order_};
  row->count++;
  row->last_ns = std::max(row->last_ns, record.time_ns);
  return row;
}

void NfsInterpreter::AddMarker(Marker marker, uint64_t at_ns) {
  if (batch_.MarkersFull()) {
    batch_.AddLoss("trace-table", 1, 1, at_ns, at_ns);
    return;
  }
  marker.epoch = ++epoch_;
  marker.at_ns = at_ns;
  batch_.AddMarker(std::move(marker));
}

BatchTable NfsInterpreter::Take() {
  batch_number_++;
  return std::exchange(batch_, BatchTable(row_limit_));
}
