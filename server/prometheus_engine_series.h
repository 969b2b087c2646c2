// The series that the engine's work is counted in.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
class Registry;
}  // namespace prometheus

namespace attn {

// Counters of one family by the value of its `reason` label. A reason that is
// not among the known ones counts as OTHER.
class ReasonCounters {
 public:
  ReasonCounters() = default;
  // Handles owned by the registry; OTHER is the last one.
  explicit ReasonCounters(
      std::vector<std::pair<std::string_view, prometheus::Counter*>> counters);

  prometheus::Counter& For(std::string_view reason) const;
  // Over all reasons.
  double Total() const;

 private:
  std::vector<std::pair<std::string_view, prometheus::Counter*>> counters_;
};

// Handles owned by the registry. Arrays are indexed by the enums of
// core/metrics/engine_metrics.h.
struct EngineSeries {
  prometheus::Counter* admitted = nullptr;
  std::array<prometheus::Counter*, 5> tasks{};    // By Outcome.
  std::array<prometheus::Counter*, 4> batches{};  // By ClosedBy.
  ReasonCounters shed;
  ReasonCounters refused;
  std::array<prometheus::Histogram*, 2> queue_wait_seconds{};  // By TaskKind.
  std::array<prometheus::Histogram*, 2> compute_seconds{};     // By TaskKind.
  prometheus::Histogram* projection_seconds = nullptr;
  prometheus::Histogram* batch_form_seconds = nullptr;
  prometheus::Histogram* batch_size = nullptr;
  prometheus::Histogram* batch_tokens = nullptr;
  prometheus::Gauge* queue_depth = nullptr;
  prometheus::Gauge* queue_bytes = nullptr;
  prometheus::Gauge* inflight_bytes = nullptr;
  prometheus::Gauge* workers = nullptr;
  prometheus::Gauge* workers_busy = nullptr;
};

EngineSeries AddEngineSeries(prometheus::Registry& registry);

struct SessionSeries {
  prometheus::Gauge* sessions = nullptr;
  prometheus::Gauge* kv_bytes = nullptr;
  prometheus::Gauge* kv_shared_bytes = nullptr;
  std::array<prometheus::Counter*, 2> closed{};  // By SessionEnd.
};

// What sessions may come to, shown beside what there is.
struct SessionBounds {
  int64_t kv_bytes = 0;
  int64_t sessions = 0;
};

SessionSeries AddSessionSeries(prometheus::Registry& registry,
                               const SessionBounds& bounds);

}  // namespace attn
