#include "nfsd/event_plan.h"

#include <sys/stat.h>

#include <cstdio>

namespace {

struct Wanted {
  const char* system;
  const char* name;
  EventKind kind;
  MarkerKind marker;
};

constexpr MarkerKind kNoMarker = MarkerKind::kFsinfo;

constexpr Wanted kWanted[] = {
    {"sunrpc", "svc_process", EventKind::kSvcProcess, kNoMarker},
    {"nfsd", "nfsd_fh_verify", EventKind::kFhVerify, kNoMarker},
    {"nfsd", "nfsd_fh_verify_err", EventKind::kFhVerifyErr, kNoMarker},
    {"nfsd", "nfsd_clid_fresh", EventKind::kClid, MarkerKind::kFresh},
    {"nfsd", "nfsd_clid_confirmed", EventKind::kClid, MarkerKind::kConfirmed},
    {"nfsd", "nfsd_clid_confirmed_r", EventKind::kClid, MarkerKind::kConfirmedR},
    {"nfsd", "nfsd_clid_destroyed", EventKind::kClid, MarkerKind::kDestroyed},
    {"nfsd", "nfsd_clid_verf_mismatch", EventKind::kClid, MarkerKind::kVerfMismatch},
    {"nfsd", "nfsd_clid_replaced", EventKind::kClid, MarkerKind::kReplaced},
    {"nfsd", "nfsd_clid_stale", EventKind::kClid, MarkerKind::kStale},
    {"nfsd", "nfsd_clid_expire_unconf", EventKind::kClid, MarkerKind::kExpireUnconf},
    {"nfsd", "nfsd_clid_purged", EventKind::kClid, MarkerKind::kPurged},
    {"nfsd", "nfsd_clid_reclaim_complete", EventKind::kClid, MarkerKind::kReclaimComplete},
    // Beside fsnotify_access() in nfsd_finish_read(), with the bytes really read (5.10 to 7.3).
    {"nfsd", "nfsd_read_io_done", EventKind::kRead, kNoMarker},
    {"nfsd", "nfsd_read_start", EventKind::kRead, kNoMarker},
    {"nfsd", "nfsd_write_io_done", EventKind::kWrite, kNoMarker},
    {"nfsd", "nfsd_write_start", EventKind::kWrite, kNoMarker},
    {"nfsd", "nfsd_vfs_lookup", EventKind::kLookup, kNoMarker},
};

bool ReadWhole(const std::string& path, std::string* out) {
  FILE* file = fopen(path.c_str(), "re");
  if (file == nullptr) return false;
  out->clear();
  char buffer[4096];
  size_t got;
  while ((got = fread(buffer, 1, sizeof buffer, file)) > 0) out->append(buffer, got);
  bool good = ferror(file) == 0 && !out->empty();
  fclose(file);
  return good;
}

void Drop(std::vector<PlannedEvent>* events, const std::string& name) {
  for (size_t i = 0; i < events->size(); i++) {
    if ((*events)[i].name != name) continue;
    events->erase(events->begin() + static_cast<long>(i));
    return;
  }
}

bool CheckNamesClient(const std::vector<PlannedEvent>& events) {
  for (const PlannedEvent& event : events)
    if (event.kind == EventKind::kFhVerify && event.format.Find("client") != nullptr) return true;
  return false;
}

bool TellsNames(const std::vector<PlannedEvent>& events) {
  for (const PlannedEvent& event : events) {
    if (event.kind != EventKind::kLookup) continue;
    const TraceFormat& format = event.format;
    return format.Find("name") != nullptr && format.Find("fh_hash") != nullptr &&
           format.Find("client") != nullptr;
  }
  return false;
}

}  // namespace

EventPlan PlanEvents(const FormatLoader& load, const PlanOptions& options) {
  EventPlan plan;
  auto add = [&](const char* system, const std::string& name, EventKind kind, MarkerKind marker) {
    std::string text, line;
    PlannedEvent event{system, name, kind, marker, {}, {}};
    bool there = load(system, name, &text);
    if (there && !ParseTraceFormat(text, &event.format, &line)) {
      plan.broken = name + ": " + line;
      there = false;
    }
    if (there) plan.events.push_back(std::move(event));
    return there;
  };
  for (const Wanted& wanted : kWanted)
    plan.found[wanted.name] = add(wanted.system, wanted.name, wanted.kind, wanted.marker);

  bool reads = plan.found["nfsd_read_io_done"] || plan.found["nfsd_read_start"];
  if (plan.found["nfsd_read_io_done"]) Drop(&plan.events, "nfsd_read_start");
  if (plan.found["nfsd_write_io_done"]) Drop(&plan.events, "nfsd_write_start");

  bool checks = plan.found["nfsd_fh_verify"] && !options.no_hashes;
  // Without the return a refused check would count as one that used its file.
  if (options.best >= NfsTier::kExact && !options.probe.empty() &&
      (!checks || options.prefer_probe)) {
    plan.by_probe = add(kProbeGroup, options.probe, EventKind::kFhProbe, kNoMarker) &&
                    add(kProbeGroup, options.probe + "_ret", EventKind::kFhProbeReturn, kNoMarker);
    if (!plan.by_probe) Drop(&plan.events, options.probe);
  }
  if (!checks || plan.by_probe || options.best < NfsTier::kExact) {
    checks = plan.by_probe;
    Drop(&plan.events, "nfsd_fh_verify");
    Drop(&plan.events, "nfsd_fh_verify_err");
  }
  bool names = checks && !options.no_hashes && options.best >= NfsTier::kExactNames &&
               TellsNames(plan.events);
  if (!names) Drop(&plan.events, "nfsd_vfs_lookup");
  plan.no_hashes = options.no_hashes;

  bool transfers_follow_check =
      plan.found["nfsd_read_io_done"] &&
      (plan.found["nfsd_write_io_done"] || !plan.found["nfsd_write_start"]);
  plan.client_from_call =
      !checks || plan.by_probe || !CheckNamesClient(plan.events) || !transfers_follow_check;
  if (reads && (!plan.client_from_call || plan.found["svc_process"])) {
    if (checks) plan.tier = names ? NfsTier::kExactNames : NfsTier::kExact;
    // Without hashes reads have none of their own either.
    if (!checks && !plan.no_hashes) plan.tier = NfsTier::kReads;
  }
  for (PlannedEvent& event : plan.events) {
    // It fires for every call of every RPC service. Where nfsd_fh_verify tells the client, only
    // NFSv3's FSINFO (procedure 19) is wanted of it; else each call, those of nfsacl and lockd too,
    // which check handles as well.
    if (event.kind == EventKind::kSvcProcess && !plan.client_from_call)
      event.filter = std::string(event.format.Find("service") ? "service == \"nfsd\" && " : "") +
                     "vers == 3 && proc == 19";
    if (event.kind == EventKind::kFhProbeReturn) event.filter = "ret != 0";
  }
  return plan;
}

FormatLoader TracefsLoader(const std::string& tracefs) {
  return [tracefs](const std::string& system, const std::string& name, std::string* text) {
    return ReadWhole(tracefs + "/events/" + system + "/" + name + "/format", text);
  };
}

bool HasNfsdEvents(const std::string& tracefs) {
  struct stat status;
  return stat((tracefs + "/events/nfsd").c_str(), &status) == 0;
}

bool NfsdModuleLive() {
  std::string state;
  if (!ReadWhole("/sys/module/nfsd/initstate", &state)) return true;  // built in, or not there
  return state.rfind("live", 0) == 0;
}
