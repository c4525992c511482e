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
    // Probed only: the names of lookups, from 6.16.
    {"nfsd", "nfsd_vfs_lookup", EventKind::kClid, kNoMarker},
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

}  // namespace

EventPlan PlanEvents(const FormatLoader& load) {
  EventPlan plan;
  for (const Wanted& wanted : kWanted) {
    std::string text, line;
    PlannedEvent event{wanted.system, wanted.name, wanted.kind, wanted.marker, {}, {}};
    bool there = load(wanted.system, wanted.name, &text);
    if (there && !ParseTraceFormat(text, &event.format, &line)) {
      plan.broken = event.name + ": " + line;
      there = false;
    }
    plan.found[wanted.name] = there;
    if (there && event.name != "nfsd_vfs_lookup") plan.events.push_back(std::move(event));
  }
  if (plan.found["nfsd_read_io_done"]) Drop(&plan.events, "nfsd_read_start");
  if (plan.found["nfsd_write_io_done"]) Drop(&plan.events, "nfsd_write_start");

  bool reads = plan.found["nfsd_read_io_done"] || plan.found["nfsd_read_start"];
  bool verify = plan.found["nfsd_fh_verify"];
  bool verify_names_client = false;
  for (const PlannedEvent& event : plan.events)
    if (event.kind == EventKind::kFhVerify)
      verify_names_client = event.format.Find("client") != nullptr;

  bool transfers_follow_verify =
      plan.found["nfsd_read_io_done"] &&
      (plan.found["nfsd_write_io_done"] || !plan.found["nfsd_write_start"]);
  plan.client_from_call = !verify || !verify_names_client || !transfers_follow_verify;
  if (reads && (!plan.client_from_call || plan.found["svc_process"]))
    plan.tier = verify ? NfsTier::kExact : NfsTier::kReads;

  for (PlannedEvent& event : plan.events) {
    if (event.kind != EventKind::kSvcProcess) continue;
    // It fires for every call of every RPC service. Where nfsd_fh_verify tells the client, only
    // NFSv3's FSINFO (procedure 19) is wanted of it; else each call of the NFS server.
    bool service = event.format.Find("service") != nullptr;
    if (service) event.filter = "service == \"nfsd\"";
    if (!plan.client_from_call)
      event.filter += std::string(service ? " && " : "") + "vers == 3 && proc == 19";
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
