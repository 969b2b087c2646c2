#include "core/kv_cache/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

// The same error, with the layer's number before its message.
absl::Status InLayer(int64_t layer, const absl::Status& status) {
  absl::Status named(status.code(),
                     absl::StrCat("layer ", layer, ": ", status.message()));
  status.ForEachPayload(
      [&named](absl::string_view url, const absl::Cord& payload) {
        named.SetPayload(url, payload);
      });
  return named;
}

}  // namespace

struct Session::Slot {
  Slot(PagePool& pool, const KvFormat& format, const KvSpec& spec,
       Tenant& tenant)
      : layer(pool, format, spec.window, spec.max_length, &tenant) {}

  absl::Mutex mutex;
  KvLayer layer;  // Guarded by mutex, through LayerGuard.
};

// The analysis cannot follow a lock that moves.
Session::LayerGuard::LayerGuard(Slot& slot) ABSL_NO_THREAD_SAFETY_ANALYSIS
    : slot_(&slot) {
  slot_->mutex.Lock();
}

Session::LayerGuard::LayerGuard(LayerGuard&& other) noexcept
    : slot_(std::exchange(other.slot_, nullptr)) {}

Session::LayerGuard::~LayerGuard() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  if (slot_ != nullptr) slot_->mutex.Unlock();
}

KvLayer& Session::LayerGuard::operator*() const { return slot_->layer; }

Session::Session(Name name, const KvSpec& spec, PagePool& pool, TimePoint now)
    : name_(std::move(name)),
      spec_(spec),
      format_(FormatOf(spec)),
      created_at_(now),
      pool_(pool),
      last_used_ns_(now.time_since_epoch().count()) {
  ATTN_CHECK(spec.idle_ttl.has_value() && spec.max_length > 0);
}

Session::~Session() = default;

void Session::MarkUsed(TimePoint now) {
  last_used_ns_.store(now.time_since_epoch().count(),
                      std::memory_order_relaxed);
}

TimePoint Session::expires_at() const {
  const TimePoint last_used = last_used_at();
  const bool is_never = *spec_.idle_ttl > TimePoint::max() - last_used;
  return is_never ? TimePoint::max() : last_used + *spec_.idle_ttl;
}

absl::Status Session::CheckLayer(int64_t layer, std::string_view field) const {
  if (layer >= 0 && layer < spec_.num_layers) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, Reason::kSpecMismatch,
                   absl::StrCat(std::string(field),
                                " must be below the session's num_layers; got ",
                                layer, " vs ", spec_.num_layers));
}

Session::LayerGuard Session::Lock(int64_t layer) {
  ATTN_CHECK(layer >= 0 && layer < spec_.num_layers);
  Slot* slot;
  {
    absl::MutexLock lock(&mutex_);
    std::unique_ptr<Slot>& place = slots_[layer];
    if (place == nullptr) {
      place = std::make_unique<Slot>(pool_, format_, spec_, tenant());
    }
    slot = place.get();
  }
  // Without mutex_: the layer may be busy for long.
  return LayerGuard(*slot);
}

std::vector<std::pair<int64_t, Session::Slot*>> Session::Slots() {
  absl::MutexLock lock(&mutex_);
  std::vector<std::pair<int64_t, Slot*>> slots;
  slots.reserve(slots_.size());
  for (const auto& [layer, slot] : slots_)
    slots.emplace_back(layer, slot.get());
  return slots;
}

// A layer that is first used while the others are being locked could hold a
// token whose predecessor in an earlier layer is missed; so begin again.
std::vector<Session::LockedLayer> Session::LockAll() {
  while (true) {
    const auto slots = Slots();
    std::vector<LockedLayer> layers;
    layers.reserve(slots.size());
    for (const auto& [layer, slot] : slots) {
      layers.push_back({layer, LayerGuard(*slot)});
    }
    if (Slots().size() == slots.size()) return layers;
  }
}

absl::Status Session::CheckAllKeep(
    int64_t length, const std::vector<LockedLayer>& layers) const {
  for (const LockedLayer& locked : layers) {
    const absl::Status status = locked.guard->CheckKeeps(length);
    if (!status.ok()) return InLayer(locked.layer, status);
  }
  const bool has_untouched = std::ssize(layers) < spec_.num_layers;
  if (!has_untouched || length == 0) return absl::OkStatus();
  // The lowest number that is missing: layers come in order.
  int64_t untouched = 0;
  for (const LockedLayer& locked : layers) {
    if (locked.layer == untouched) ++untouched;
  }
  KvLayer empty(pool_, format_, spec_.window, spec_.max_length);
  const absl::Status status = empty.CheckKeeps(length);
  return status.ok() ? status : InLayer(untouched, status);
}

absl::Status Session::Truncate(int64_t length, std::optional<int64_t> layer) {
  if (layer.has_value()) {
    ATTN_RETURN_IF_ERROR(CheckLayer(*layer, "layer"));
    const absl::Status status = Lock(*layer)->Truncate(length);
    return status.ok() ? status : InLayer(*layer, status);
  }
  const std::vector<LockedLayer> layers = LockAll();
  ATTN_RETURN_IF_ERROR(CheckAllKeep(length, layers));
  for (const LockedLayer& locked : layers) {
    ATTN_RETURN_IF_ERROR(locked.guard->Truncate(length));
  }
  return absl::OkStatus();
}

absl::Status Session::ForkFrom(Session& source, std::optional<int64_t> length) {
  ATTN_CHECK(spec_ == source.spec_ && &tenant() == &source.tenant());
  const std::vector<LockedLayer> layers = source.LockAll();
  if (length.has_value()) {
    ATTN_RETURN_IF_ERROR(source.CheckAllKeep(*length, layers));
  }
  for (const LockedLayer& locked : layers) {
    const KvLayer& from = *locked.guard;
    const int64_t count = length.value_or(from.length());
    if (count == 0) continue;  // Nothing to make a layer for.
    const absl::Status status = Lock(locked.layer)->ForkFrom(from, count);
    if (!status.ok()) return InLayer(locked.layer, status);
  }
  return absl::OkStatus();
}

std::vector<Session::LayerSnapshot> Session::SnapshotLayers() {
  std::vector<LayerSnapshot> snapshots;
  for (const LockedLayer& locked : LockAll()) {
    if (locked.guard->length() == 0) continue;
    snapshots.push_back({locked.layer, locked.guard->Snapshot()});
  }
  return snapshots;
}

void Session::AdoptLayer(int64_t layer, int64_t first_token, int64_t length,
                         std::vector<PageRef> pages) {
  Lock(layer)->Adopt(first_token, length, std::move(pages));
}

Session::Usage Session::MeasureUsage() {
  Usage usage;
  usage.layer_lengths.resize(static_cast<size_t>(spec_.num_layers));
  for (const auto& [layer, slot] : Slots()) {
    const LayerGuard guard(*slot);
    usage.layer_lengths[layer] = guard->length();
    usage.kv_bytes += guard->kv_bytes();
    usage.shared_bytes += guard->shared_bytes();
  }
  return usage;
}

}  // namespace attn
