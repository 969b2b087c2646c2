// One KV-cache session: its spec and its layers.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "core/kv_cache/kv_layer.h"
#include "core/kv_cache/page_pool.h"
#include "core/kv_cache/session_spec.h"
#include "core/tenant/tenant.h"

namespace attn {

// Thread-safe: every layer has a lock of its own, so that layers work in
// parallel and calls on one layer follow one another.
//
// Locks: a thread that holds layers takes further ones in the order of their
// numbers, and calls nothing else here meanwhile.
class Session {
 private:
  struct Slot;

 public:
  // No two sessions of one tenant share an id.
  struct Name {
    Tenant& tenant;
    std::string id;
  };
  // Borrows the pool and the tenant. REQUIRES: a valid, resolved spec.
  Session(Name name, const KvSpec& spec, PagePool& pool, TimePoint now);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Tenant& tenant() const { return name_.tenant; }
  const std::string& id() const { return name_.id; }
  const KvSpec& spec() const { return spec_; }  // Defaults resolved.
  const KvFormat& format() const { return format_; }
  TimePoint created_at() const { return created_at_; }
  TimePoint last_used_at() const {
    return TimePoint(Duration(last_used_ns_.load(std::memory_order_relaxed)));
  }
  // Idle time counts from here; the store calls it.
  void MarkUsed(TimePoint now);
  // When idle for too long, unless used until then.
  TimePoint expires_at() const;

  // FAILED_PRECONDITION / SPEC_MISMATCH when there is no such layer. `field`:
  // what the request calls it.
  absl::Status CheckLayer(int64_t layer, std::string_view field) const;

  // A layer, locked as long as the guard lives.
  class LayerGuard {
   public:
    LayerGuard(LayerGuard&& other) noexcept;
    LayerGuard& operator=(LayerGuard&&) = delete;
    ~LayerGuard();

    KvLayer& operator*() const;
    KvLayer* operator->() const { return &**this; }

   private:
    friend class Session;
    explicit LayerGuard(Slot& slot);

    Slot* slot_;
  };
  // The layer is made when first locked. REQUIRES: CheckLayer(layer, ...) is
  // OK.
  LayerGuard Lock(int64_t layer);

  // Keeps the first `length` tokens of one layer or of all, all or nothing.
  // CheckLayer's and KvLayer::CheckKeeps's errors.
  absl::Status Truncate(int64_t length, std::optional<int64_t> layer);

  // Shares the first `length` tokens of every layer of `source` (absent: all
  // that each has) as they are at one moment. KvLayer::CheckKeeps's errors;
  // then this session is of no use. REQUIRES: it is new, of the same spec and
  // the same tenant.
  absl::Status ForkFrom(Session& source, std::optional<int64_t> length);

  // A layer that holds tokens, at one moment.
  struct LayerSnapshot {
    int64_t layer = 0;
    KvSnapshot kv;
  };
  // Every layer that holds tokens, in order, all of one moment. Appends wait
  // only while page tables are copied.
  std::vector<LayerSnapshot> SnapshotLayers();

  // Fills a layer with pages that were made elsewhere. REQUIRES:
  // KvLayer::Adopt's, and a layer of the session's.
  void AdoptLayer(int64_t layer, int64_t first_token, int64_t length,
                  std::vector<PageRef> pages);

  struct Usage {
    std::vector<int64_t> layer_lengths;  // [num_layers]
    int64_t kv_bytes = 0;
    int64_t shared_bytes = 0;
  };
  // Layer after layer: while others append, not of one moment.
  Usage MeasureUsage();

 private:
  struct LockedLayer {
    int64_t layer;
    LayerGuard guard;
  };
  // Every layer that was ever used, in order, at one moment.
  std::vector<LockedLayer> LockAll();
  absl::Status CheckAllKeep(int64_t length,
                            const std::vector<LockedLayer>& layers) const;
  std::vector<std::pair<int64_t, Slot*>> Slots();

  const Name name_;
  const KvSpec spec_;
  const KvFormat format_;
  const TimePoint created_at_;
  PagePool& pool_;

  std::atomic<int64_t> last_used_ns_;

  absl::Mutex mutex_;
  // Layers that were ever used; a slot, once there, stays where it is.
  std::map<int64_t, std::unique_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);
};

// Shared by the store and by the calls in flight: a call keeps the session it
// works on, even if that is deleted meanwhile.
using SessionPtr = std::shared_ptr<Session>;

}  // namespace attn
