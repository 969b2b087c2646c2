// One KV-cache session: its spec and its layers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "core/kv_cache/kv_layer.h"
#include "core/kv_cache/page_pool.h"

namespace attn {

// The numbers equal those of attn.v1.KvDtype.
enum class KvDtype : int32_t {
  kUnspecified = 0,  // As kF32.
  kF32 = 1,
  kBF16 = 2,
  kF16 = 3,
  kInt8 = 4,
};

struct KvSpec {
  int64_t num_layers = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t value_head_dim = 0;  // 0: head_dim.
  KvDtype kv_dtype = KvDtype::kUnspecified;
  int64_t max_length = 0;  // 0: the server's limit.
  int64_t window = 0;      // 0: off.
  std::optional<Duration> idle_ttl;

  friend bool operator==(const KvSpec&, const KvSpec&) = default;
};

// Thread-safe: every layer has a lock of its own, so that layers work in
// parallel and calls on one layer follow one another.
class Session {
 public:
  // Borrows the pool. REQUIRES: a valid, resolved spec.
  Session(std::string id, const KvSpec& spec, PagePool& pool, TimePoint now);

  const std::string& id() const { return id_; }
  const KvSpec& spec() const { return spec_; }  // Defaults resolved.
  const KvFormat& format() const { return format_; }
  TimePoint created_at() const { return created_at_; }

  // A layer, locked as long as the guard lives; made when first used.
  // REQUIRES: 0 <= layer < num_layers.
  class LayerGuard {
   public:
    KvLayer& operator*() const { return *layer_; }
    KvLayer* operator->() const { return layer_; }

   private:
    friend class Session;
    std::unique_lock<std::mutex> lock_;
    KvLayer* layer_ = nullptr;
  };
  LayerGuard Lock(int64_t layer);

  // Keeps the first `length` tokens of one layer or of all, all or nothing.
  // FAILED_PRECONDITION / LENGTH_MISMATCH.
  absl::Status Truncate(int64_t length, std::optional<int64_t> layer);

  struct Usage {
    std::vector<int64_t> layer_lengths;  // [num_layers]
    int64_t kv_bytes = 0;
    int64_t shared_bytes = 0;
  };
  Usage MeasureUsage();

 private:
  const std::string id_;
  const KvSpec spec_;
  const KvFormat format_;
  const TimePoint created_at_;
  // The rest is the implementation's.
};

using SessionPtr = std::shared_ptr<Session>;

}  // namespace attn
