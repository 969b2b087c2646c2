#include "client/cpp/attnctl/decode_bench.h"

#include <cstdio>
#include <memory>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "client/cpp/attnctl/decode_load.h"
#include "client/cpp/attnctl/decode_report.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/interrupt.h"
#include "client/cpp/attnctl/partial_file.h"
#include "client/cpp/attnctl/progress_bar.h"

namespace attn::attnctl {
namespace {

// What a killed bench leaves behind goes after this time.
constexpr absl::Duration kIdleTtl = absl::Minutes(5);

DecodePlan PlanOf(const BenchFlags& flags) {
  const ProblemShape& shape = flags.shape;
  DecodePlan plan;
  plan.sessions = flags.decode.sessions;
  plan.spec.num_layers = flags.decode.layers;
  plan.num_q_heads = shape.num_q_heads;
  plan.spec.num_kv_heads = static_cast<uint32_t>(
      shape.num_kv_heads == 0 ? shape.num_q_heads : shape.num_kv_heads);
  plan.spec.head_dim = static_cast<uint32_t>(shape.head_dim);
  plan.spec.value_head_dim = static_cast<uint32_t>(shape.value_head_dim);
  plan.spec.kv_dtype = flags.decode.kv_dtype;
  plan.spec.idle_ttl = kIdleTtl;
  plan.dtype = shape.dtype;
  plan.priority = shape.priority;
  plan.prefix = flags.decode.prefix;
  plan.steps = flags.decode.steps;
  plan.batch = flags.decode.batch;
  plan.seed = flags.seed;
  // Two benches at once must not meet.
  plan.id_prefix =
      absl::StrFormat("attnctl-bench-%x-", absl::ToUnixNanos(absl::Now()));
  return plan;
}

absl::Status RunLoad(DecodeLoad& load, const DecodePlan& plan,
                     const LoadRecord& record) {
  if (absl::Status status = load.Prepare(); !status.ok()) {
    return status;
  }
  const uint64_t calls = plan.sessions * plan.steps * plan.spec.num_layers;
  const ProgressBar bar({absl::InfiniteDuration(), calls}, record);
  load.Decode();
  return absl::OkStatus();
}

int Show(const DecodeReport& report, const BenchFlags& flags) {
  const std::string json = RenderDecodeJson(report);
  const std::string table = RenderDecodeTable(report);
  std::fputs(flags.json ? json.c_str() : table.c_str(), stdout);
  if (absl::Status status = WriteText(flags.json_path, json); !status.ok()) {
    return PrintUsageError(status);
  }
  const bool served = report.calls.failed == 0 &&
                      (report.decode.tokens > 0 || report.stopped_early);
  return served ? kExitOk : kExitFailed;
}

}  // namespace

int RunDecodeBench(const BenchFlags& flags, const GlobalOptions& globals) {
  InterruptibleClock clock;
  const std::unique_ptr<client::Client> connected = Connect(globals);
  if (connected == nullptr) {
    return kExitUsage;
  }
  DecodeReport report;
  report.plan = PlanOf(flags);
  LoadRecord record(0);
  const auto load = DecodeLoad::Create(report.plan, *connected, clock, record);
  if (!load.ok()) {
    return PrintUsageError(load.status());
  }
  const absl::Status run = RunLoad(**load, report.plan, record);
  const absl::Status deleted = (*load)->DeleteSessions();
  if (!run.ok()) {
    return PrintCallError(run);
  }
  report.decode = (*load)->figures();
  report.calls = record.Copy();
  report.stopped_early = clock.stopped();
  const int exit_code = Show(report, flags);
  return deleted.ok() ? exit_code : PrintCallError(deleted);
}

}  // namespace attn::attnctl
