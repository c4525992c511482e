// Which tracepoints of the kernel NFS server are wanted, which of them this kernel has, and what
// they can prove together (the tier). Owns that choice. Must not know perf, nor what becomes of the
// records.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "nfsd/batch_table.h"
#include "nfsd/trace_format.h"

enum class EventKind : uint8_t {
  kSvcProcess,
  kFhVerify,
  kFhVerifyErr,
  kFhProbe,        // a kprobe event at the entry of fh_verify()
  kFhProbeReturn,  // and one at its return
  kLookup,
  kClid,
  kRead,
  kWrite,
};

enum class NfsTier : uint8_t { kNone, kReads, kExact, kExactNames };

struct PlanOptions {
  // Nothing better than this is planned, whatever the kernel has.
  NfsTier best = NfsTier::kExactNames;
  // The kprobe event that tells the file handles where nfsd_fh_verify does not; its partner at the
  // function's return has `_ret` behind. '': there is none.
  std::string probe;
  // Take the kprobe also where there is nfsd_fh_verify.
  bool prefer_probe = false;
  // This kernel's fh_hash is a constant 0: it was built without CRC32.
  bool no_hashes = false;
};

// The group of our kprobe events in tracefs.
constexpr char kProbeGroup[] = "nfsroot_trace";

struct PlannedEvent {
  std::string system;
  std::string name;
  EventKind kind;
  MarkerKind marker;  // kClid only
  TraceFormat format;
  std::string filter;  // in the kernel's filter language; '' lets everything through
};

struct EventPlan {
  NfsTier tier = NfsTier::kNone;
  // In the order in which they are to be enabled: what names a call's client comes before what is
  // joined to it, so that a call seen from its start never misses its client.
  std::vector<PlannedEvent> events;
  // Every event that was looked for, by name, and whether it is there.
  std::map<std::string, bool> found;
  // A call's client is told by svc_process, not by its nfsd_fh_verify: that one is missing, or has
  // no address, or comes too late (nfsd_read_start precedes it within an NFSv3 READ, seen on 6.1).
  bool client_from_call = false;
  // The checks of handles come from the kprobe.
  bool by_probe = false;
  // The hash of a read or write is that of its thread's last check.
  bool no_hashes = false;
  // An event whose format file could not be understood, and its first strange line.
  std::string broken;
};

// Gives the text of EVENTS/system/name/format; false when there is none.
using FormatLoader =
    std::function<bool(const std::string& system, const std::string& name, std::string* text)>;

EventPlan PlanEvents(const FormatLoader& load, const PlanOptions& options);

// Reads format files below a mounted tracefs.
FormatLoader TracefsLoader(const std::string& tracefs);

// False while tracefs has no event of nfsd at all: one look instead of one for each event.
bool HasNfsdEvents(const std::string& tracefs);

// True when the nfsd module's events can be opened: it is built in, or loaded and past its init.
// While a module is coming up its event folders appear one by one.
bool NfsdModuleLive();
