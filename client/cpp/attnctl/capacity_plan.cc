#include "client/cpp/attnctl/capacity_plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace attn::attnctl {
namespace {

using client::KvDtype;

// decode.*.bandwidth_fraction of tests/bench/README.md. INT8: 2.5 times as fast
// as F32 (0.70) while it reads 0.26 times the bytes.
double DecodeFraction(KvDtype kv_dtype, bool is_grouped) {
  switch (kv_dtype) {
    case KvDtype::kBf16:
      return 0.88;
    case KvDtype::kF16:
      return 0.91;
    case KvDtype::kInt8:
      return 0.46;
    case KvDtype::kF32:
    case KvDtype::kUnspecified:
      break;
  }
  return is_grouped ? 0.70 : 0.75;
}

absl::Status Refuse(const std::string& rule, const std::string& found) {
  return absl::InvalidArgumentError(absl::StrCat(rule, "; got ", found));
}

absl::Status Check(const CapacityRequest& request) {
  const int64_t kv_heads = request.spec.num_kv_heads;
  if (request.sessions < 1 || request.tokens < 1) {
    return Refuse("sessions and tokens must be positive",
                  absl::StrCat(request.sessions, " and ", request.tokens));
  }
  if (!(request.memory_bandwidth > 0) || !(request.tokens_per_second >= 0)) {
    return Refuse("bandwidth must be positive, tokens/s not negative",
                  absl::StrCat(request.memory_bandwidth, " and ",
                               request.tokens_per_second));
  }
  constexpr int64_t kMostMemory = int64_t{1} << 53;
  if (request.machine_memory > kMostMemory) {
    return Refuse("a machine's memory must be at most 2^53 bytes",
                  absl::StrCat(request.machine_memory));
  }
  if (!(request.headroom >= 0) || !(request.headroom < 1)) {
    return Refuse("headroom must be from 0 to below 1",
                  absl::StrCat(request.headroom));
  }
  if (kv_heads > 0 && request.num_q_heads % kv_heads != 0) {
    return Refuse("query heads must be a multiple of the KV heads",
                  absl::StrCat(request.num_q_heads, " and ", kv_heads));
  }
  return absl::OkStatus();
}

int64_t QueryHeads(const CapacityRequest& request) {
  return request.num_q_heads == 0 ? request.spec.num_kv_heads
                                  : request.num_q_heads;
}

int64_t WireBytes(const CapacityRequest& request) {
  const client::SessionSpec& spec = request.spec;
  const int64_t value_dim =
      spec.value_head_dim == 0 ? spec.head_dim : spec.value_head_dim;
  return int64_t{spec.num_layers} * (QueryHeads(request) + spec.num_kv_heads) *
         (spec.head_dim + value_dim) * int64_t{sizeof(float)};
}

// The most sessions whose budget is at most `bytes`. REQUIRES: a session has
// some.
int64_t SessionsWithin(const KvFootprint& session, double bytes) {
  int64_t fit = 0;
  int64_t too_many =
      1 + static_cast<int64_t>(std::max(0.0, bytes) /
                               static_cast<double>(session.kv_bytes));
  while (too_many - fit > 1) {
    const int64_t middle = fit + (too_many - fit) / 2;
    (static_cast<double>(BudgetFor(session, middle)) <= bytes ? fit
                                                              : too_many) =
        middle;
  }
  return fit;
}

int64_t DivideUp(int64_t value, int64_t by) { return (value + by - 1) / by; }

// That sums of bytes stay exact, and far from overflow.
absl::Status CheckSum(const CapacityRequest& request,
                      const KvFootprint& session) {
  constexpr double kMost = 9007199254740992.0;  // 2^53
  const double bytes =
      static_cast<double>(request.sessions) *
      static_cast<double>(session.pages +
                          2 * int64_t{request.spec.num_layers}) *
      static_cast<double>(session.open_page_bytes);
  return bytes < kMost ? absl::OkStatus()
                       : Refuse("all sessions must be smaller than 2^53 bytes",
                                absl::StrCat("about ", bytes));
}

absl::Status PlanBandwidth(const CapacityRequest& request, CapacityPlan& plan) {
  const bool is_grouped = QueryHeads(request) > request.spec.num_kv_heads;
  plan.decode_fraction = DecodeFraction(request.spec.kv_dtype, is_grouped);
  plan.decode_bandwidth = plan.decode_fraction * request.memory_bandwidth;
  plan.max_tokens_per_second =
      plan.decode_bandwidth / static_cast<double>(plan.session.kv_bytes);
  plan.wire_bytes_per_token = WireBytes(request);
  const double replicas = std::ceil(
      static_cast<double>(request.sessions) * request.tokens_per_second /
      (plan.max_tokens_per_second * (1 - request.headroom)));
  constexpr double kMostReplicas = 1e6;
  if (!(replicas <= kMostReplicas)) {
    return Refuse("a million replicas at most must be needed for bandwidth",
                  absl::StrCat(replicas));
  }
  plan.replicas_by_bandwidth = static_cast<int64_t>(replicas);
  return absl::OkStatus();
}

absl::Status PlanMemory(const CapacityRequest& request, CapacityPlan& plan) {
  plan.page_memory = request.machine_memory - kMemoryBesidePages;
  const double kept_full = 1 - request.headroom;
  plan.sessions_by_memory = SessionsWithin(
      plan.session, kept_full * static_cast<double>(plan.page_memory));
  if (plan.sessions_by_memory == 0) {
    return Refuse(
        absl::StrCat("a session of ",
                     BytesText(static_cast<double>(plan.session.kv_bytes)),
                     " must fit into a replica's memory less ",
                     BytesText(static_cast<double>(kMemoryBesidePages)),
                     " for calls, less the headroom"),
        BytesText(static_cast<double>(request.machine_memory)));
  }
  plan.replicas_by_memory = DivideUp(request.sessions, plan.sessions_by_memory);
  return absl::OkStatus();
}

// The settings of one replica among plan.replicas.
void PlanReplica(const CapacityRequest& request, CapacityPlan& plan) {
  const double kept_full = 1 - request.headroom;
  plan.sessions_per_replica = DivideUp(request.sessions, plan.replicas);
  plan.max_sessions = static_cast<int64_t>(
      std::ceil(static_cast<double>(plan.sessions_per_replica) / kept_full));
  const double bytes =
      static_cast<double>(BudgetFor(plan.session, plan.sessions_per_replica)) /
      kept_full;
  const auto mebibytes =
      static_cast<int64_t>(std::ceil(bytes / static_cast<double>(kMebibyte)));
  plan.kv_memory = std::max<int64_t>(1, mebibytes) * kMebibyte;
}

}  // namespace

absl::StatusOr<CapacityPlan> MakePlan(const CapacityRequest& request) {
  if (absl::Status status = Check(request); !status.ok()) {
    return status;
  }
  absl::StatusOr<KvFootprint> session =
      FootprintOf(request.spec, request.tokens);
  if (!session.ok()) {
    return session.status();
  }
  CapacityPlan plan{.session = *session};
  absl::Status status = CheckSum(request, *session);
  if (status.ok()) {
    status = PlanBandwidth(request, plan);
  }
  if (status.ok()) {
    status = PlanMemory(request, plan);
  }
  if (!status.ok()) {
    return status;
  }
  plan.all_bytes = request.sessions * session->kv_bytes;
  plan.replicas = std::max(plan.replicas_by_memory, plan.replicas_by_bandwidth);
  PlanReplica(request, plan);
  return plan;
}

}  // namespace attn::attnctl
