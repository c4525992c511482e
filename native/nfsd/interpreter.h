// What the NFS server's trace records mean: who touched which file handle, when a client arrived.
// Owns the state of each server thread's current call and the batch that is being counted.
// Must not know where records come from (perf, a fixture) nor boot sessions: markers are raw.
//
// Records must come in the order of their time. All calls from one thread at a time.
#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "nfsd/batch_table.h"
#include "nfsd/event_plan.h"
#include "nfsd/trace_format.h"

struct InterpreterStats {
  uint64_t events = 0;
  uint64_t denied = 0;           // checks that failed: counted and taken back
  uint64_t join_mismatches = 0;  // calls whose client is not known
  uint64_t in_flight = 0;        // calls that had begun before the trace did
  uint64_t hashes = 0;           // checks of nfsd_fh_verify with one
  uint64_t zero_hashes = 0;      // and without: a kernel without CRC32 gives only these
  uint64_t unknown_records = 0;
};

class NfsInterpreter {
 public:
  // `began_ns`: when the events were enabled; calls that were under way then are not counted.
  NfsInterpreter(const EventPlan& plan, size_t row_limit, uint64_t began_ns);

  void Handle(const RawRecord& record);

  // Records that never came. Among them may be the beginning of a thread's call: a check of the
  // kprobe, which knows no xid, is not believed to be the last known call's until another begins.
  void AddLoss(std::string_view where, int lane, uint64_t count, uint64_t from_ns, uint64_t to_ns) {
    losses_++;
    batch_.AddLoss(where, lane, count, from_ns, to_ns);
  }

  // The batch so far; a fresh one begins.
  BatchTable Take();

  const InterpreterStats& stats() const { return stats_; }

 private:
  struct Layout {
    EventKind kind;
    MarkerKind marker;
    FieldRef xid, fh_hash, type, access, client, offset, len, vers, proc, service, addr;
    FieldRef cl_boot, cl_id, verifier, old_verifier, name;
    FieldRef handle_size, handle, ret;  // of the kprobe on fh_verify()
  };

  // The call that a server thread is working on.
  struct Thread {
    bool has_call = false;
    uint32_t call_loss = 0;  // how many losses there had been when it began
    uint32_t xid = 0;
    std::string sockaddr;  // as it came, without its port if binary: saves making the text again
    std::string client;
    uint32_t client_index = 0;
    uint32_t client_batch = 0;  // which batch the index belongs to

    bool fsinfo_pending = false;
    uint32_t fsinfo_xid = 0;

    bool verify_fresh = false;  // the last event was a check, not yet known to have failed
    uint32_t verify_batch = 0;
    uint32_t verify_xid = 0;
    RowKey verify_key;
  };

  static Layout MakeLayout(const PlannedEvent& event);
  void OnSvcProcess(const Layout& layout, const RawRecord& record, Thread* thread);
  void OnVerify(const Layout& layout, const RawRecord& record, Thread* thread);
  void OnVerifyError(const Layout& layout, const RawRecord& record, Thread* thread);
  void OnProbe(const Layout& layout, const RawRecord& record, Thread* thread);
  void OnProbeReturn(const Layout& layout, const RawRecord& record, Thread* thread);
  void OnLookup(const Layout& layout, const RawRecord& record, Thread* thread);
  bool CountCheck(RowKey key, uint32_t xid, const RawRecord& record, Thread* thread);
  bool TakeBack(Thread* thread);
  void OnTransfer(const Layout& layout, const RawRecord& record, Thread* thread);
  void OnClid(const Layout& layout, const RawRecord& record);

  Thread* ThreadOf(const RawRecord& record);
  void SetClient(Thread* thread, std::string_view sockaddr);
  uint32_t ClientIndex(Thread* thread);
  RowCounts* Count(const RowKey& key, const RawRecord& record);
  void AddMarker(Marker marker, uint64_t at_ns);

  std::vector<Layout> layouts_;
  std::vector<uint8_t> layout_of_id_;  // tracepoint id -> 1 + index into layouts_
  FieldRef common_type_;
  FieldRef common_pid_;
  bool has_verify_ = false;
  const bool client_from_call_;
  const bool by_probe_;
  const bool no_hashes_;
  size_t row_limit_;
  uint64_t began_ns_;

  BatchTable batch_;
  uint32_t batch_number_ = 1;
  uint32_t epoch_ = 0;
  uint64_t order_ = 0;
  uint32_t losses_ = 0;
  std::unordered_map<uint32_t, Thread> threads_;
  InterpreterStats stats_;
};
