#include "fanotify/intake.h"

#include <sys/random.h>

#include <algorithm>

#include "fanotify/masks.h"

namespace fan {

namespace {

uint64_t RandomSeed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) seed = 0x5851f42d4c957f2d;
  return seed;
}

}  // namespace

Intake::Intake(const std::vector<std::string>& server_names, uint32_t keep, uint32_t table_limit)
    : classes_(server_names),
      filling_(new EventTable(table_limit, RandomSeed())),
      spare_(new EventTable(table_limit, RandomSeed())) {
  for (int cls = 0; cls < kPidClassCount; cls++) {
    const bool kept = (keep >> cls & 1) != 0;
    keep_[cls] = (kept ? kAccessMask : 0) | FAN_ONDIR;
    if (kept || cls != static_cast<int>(PidClass::kSelf)) keep_[cls] |= kNameMask;
  }
}

void Intake::Consume(const uint8_t* data, size_t size, int64_t from_us, int64_t to_us,
                     SyncRound* round) {
  counters_.reads++;
  counters_.bytes_read += size;
  const bool syncing = round->active();
  while (size > 0) {
    fanotify_event_metadata meta;
    const bool whole = size >= sizeof meta;
    if (whole) memcpy(&meta, data, sizeof meta);
    if (!whole || meta.vers != FANOTIFY_METADATA_VERSION || meta.metadata_len < sizeof meta ||
        meta.event_len < meta.metadata_len || meta.event_len > size) {
      // Without a length to trust, the rest of this read cannot be told apart.
      counters_.malformed++;
      AddLoss("fanotify-malformed", 1, from_us, to_us);
      return;
    }
    const uint8_t* info = data + meta.metadata_len;
    const uint32_t info_size = meta.event_len - meta.metadata_len;
    data += meta.event_len;
    size -= meta.event_len;
    if ((meta.mask & FAN_Q_OVERFLOW) != 0) {
      counters_.overflows++;
      AddLoss("fanotify-queue", 1, from_us, to_us);
      continue;
    }
    const PidClass cls = classes_.Of(meta.pid, to_us);
    uint64_t mask = meta.mask;
    if (syncing && cls == PidClass::kSelf && round->Match(mask, info, info_size)) {
      // The kernel may have merged the sentinel's open with our own real access: keep that.
      mask &= ~uint64_t{FAN_OPEN};
      if ((mask & kWatchMask & ~uint64_t{FAN_ONDIR}) == 0) continue;
    }
    counters_.events_read++;
    mask &= keep_[static_cast<int>(cls)];
    if ((mask & ~uint64_t{FAN_ONDIR}) == 0) {
      counters_.filtered++;
      continue;
    }
    Take(mask, cls, info, info_size, to_us);
  }
}

void Intake::Take(uint64_t mask, PidClass cls, const uint8_t* info, uint32_t size, int64_t now_us) {
  const uint64_t tag = mask | static_cast<uint64_t>(cls) << 32;
  uint32_t hash;
  if (filling_->Count(tag, info, size, &hash)) return;
  EventInfo parsed;
  if (!ParseEventInfo(info, size, &parsed)) {
    counters_.malformed++;
    AddLoss("fanotify-malformed", 1, now_us, now_us);
    return;
  }
  if (filling_->Insert(tag, info, size, hash)) {
    counters_.distinct++;
    return;
  }
  counters_.table_drops++;
  AddLoss("fanotify-table", 1, now_us, now_us);
}

void Intake::AddLoss(const char* where, uint64_t count, int64_t from_us, int64_t to_us) {
  for (Loss& loss : losses_) {
    // Names are literals of this room.
    if (strcmp(loss.where, where) != 0) continue;
    loss.count += count;
    loss.from_us = std::min(loss.from_us, from_us);
    loss.to_us = std::max(loss.to_us, to_us);
    return;
  }
  losses_.push_back({where, count, from_us, to_us});
}

EventTable* Intake::Swap(std::vector<Loss>* losses) {
  filling_.swap(spare_);
  losses->swap(losses_);
  losses_.clear();
  return spare_.get();
}

}  // namespace fan
