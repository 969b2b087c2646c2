#include "client/cpp/attnctl/plan_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/json_text.h"

namespace attn::attnctl {
namespace {

constexpr double kGiga = 1e9;
constexpr double kPercent = 100.0;

std::string Bytes(int64_t bytes) {
  return BytesText(static_cast<double>(bytes));
}

std::string Load(const CapacityRequest& request) {
  const client::SessionSpec& spec = request.spec;
  std::string text = absl::StrFormat(
      "load            %d sessions of %d tokens; %d layers, %d KV heads of "
      "%d, %s",
      request.sessions, request.tokens, spec.num_layers, spec.num_kv_heads,
      spec.head_dim, std::string(client::KvDtypeName(spec.kv_dtype)));
  if (request.tokens_per_second > 0) {
    absl::StrAppendFormat(&text, "; %.4g tokens/s each",
                          request.tokens_per_second);
  }
  return text + "\n";
}

std::string Memory(const CapacityRequest& request, const CapacityPlan& plan) {
  const KvFootprint& session = plan.session;
  return absl::StrCat(
      "memory          ", Bytes(session.token_bytes), " a token, ",
      Bytes(session.kv_bytes), " a session (", session.pages, " pages of ",
      Bytes(session.page_bytes), "), ", Bytes(plan.all_bytes), " in all\n",
      "a replica       ", Bytes(request.machine_memory), ", ",
      Bytes(plan.page_memory), " of it for pages: ", plan.sessions_by_memory,
      " sessions\n");
}

std::string Bandwidth(const CapacityRequest& request,
                      const CapacityPlan& plan) {
  const bool is_measured = request.memory_bandwidth == kMeasuredBandwidth;
  return absl::StrFormat(
      "bandwidth       %.4g GB/s%s, %.0f%% of it by decoding: %.4g tokens/s a "
      "replica\n"
      "network         %s a token\n",
      request.memory_bandwidth / kGiga,
      is_measured ? " (of tests/bench's machine)" : "",
      kPercent * plan.decode_fraction, plan.max_tokens_per_second,
      Bytes(plan.wire_bytes_per_token));
}

std::string Replicas(const CapacityRequest& request, const CapacityPlan& plan) {
  const std::string bandwidth = plan.replicas_by_bandwidth == 0
                                    ? "-"
                                    : absl::StrCat(plan.replicas_by_bandwidth);
  return absl::StrFormat(
      "replicas        %d: by memory %d, by bandwidth %s, with %.0f%% "
      "headroom\n"
      "each of them    %d sessions, %.4g tokens/s each at most\n",
      plan.replicas, plan.replicas_by_memory, bandwidth,
      kPercent * request.headroom, plan.sessions_per_replica,
      plan.max_tokens_per_second /
          static_cast<double>(plan.sessions_per_replica));
}

// The chart's sizes are whole Mi or Gi: rounded up.
std::string ChartSize(int64_t bytes) {
  const int64_t mebibytes = (bytes + kMebibyte - 1) / kMebibyte;
  std::string text = SizeFlagText(mebibytes * kMebibyte);
  text.pop_back();
  return text;
}

std::string Settings(const CapacityRequest& request, const CapacityPlan& plan) {
  return absl::StrCat("flags           --kv-memory ",
                      SizeFlagText(plan.kv_memory), " --max-sessions ",
                      plan.max_sessions,  //
                      "\nchart           --set replicas=", plan.replicas,
                      " --set memory=", ChartSize(request.machine_memory),
                      " --set kvMemory=", SizeFlagText(plan.kv_memory),
                      " --set settings.max-sessions=", plan.max_sessions, "\n");
}

}  // namespace

std::string RenderPlan(const CapacityRequest& request,
                       const CapacityPlan& plan) {
  return absl::StrCat(Load(request), Memory(request, plan),
                      Bandwidth(request, plan), Replicas(request, plan),
                      Settings(request, plan));
}

std::string RenderPlanJson(const CapacityRequest& request,
                           const CapacityPlan& plan) {
  const auto whole = [](int64_t number) { return absl::StrCat(number); };
  const KvFootprint& session = plan.session;
  return JsonObject(
      {{"sessions", whole(request.sessions)},
       {"tokens", whole(request.tokens)},
       {"token_bytes", whole(session.token_bytes)},
       {"page_bytes", whole(session.page_bytes)},
       {"session_pages", whole(session.pages)},
       {"session_bytes", whole(session.kv_bytes)},
       {"all_bytes", whole(plan.all_bytes)},
       {"page_memory_bytes", whole(plan.page_memory)},
       {"sessions_by_memory", whole(plan.sessions_by_memory)},
       {"memory_bandwidth", JsonNumber(request.memory_bandwidth)},
       {"decode_fraction", JsonNumber(plan.decode_fraction)},
       {"decode_bandwidth", JsonNumber(plan.decode_bandwidth)},
       {"max_tokens_per_second", JsonNumber(plan.max_tokens_per_second)},
       {"wire_bytes_per_token", whole(plan.wire_bytes_per_token)},
       {"headroom", JsonNumber(request.headroom)},
       {"replicas", whole(plan.replicas)},
       {"replicas_by_memory", whole(plan.replicas_by_memory)},
       {"replicas_by_bandwidth", whole(plan.replicas_by_bandwidth)},
       {"sessions_per_replica", whole(plan.sessions_per_replica)},
       {"kv_memory", whole(plan.kv_memory)},
       {"max_sessions", whole(plan.max_sessions)}});
}

}  // namespace attn::attnctl
