// `attnctl plan`: what a load of sessions needs. Asks no server.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "client/cpp/attnctl/capacity_plan.h"
#include "client/cpp/attnctl/enum_flags.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/output_flag.h"
#include "client/cpp/attnctl/plan_report.h"

namespace attn::attnctl {
namespace {

struct PlanFlags {
  CapacityRequest request;
  double gigabytes_per_second = kMeasuredBandwidth / 1e9;
  bool json = false;
};

void AddModelFlags(CLI::App& app, CapacityRequest& request) {
  client::SessionSpec& spec = request.spec;
  const CLI::Range small(1, 1 << 20);
  app.add_option("--layers", spec.num_layers, "Layers")
      ->required()
      ->check(small);
  app.add_option("--kv-heads", spec.num_kv_heads, "KV heads")
      ->required()
      ->check(small);
  app.add_option("--dim", spec.head_dim, "Of a head's keys")
      ->required()
      ->check(small);
  app.add_option("--value-dim", spec.value_head_dim,
                 "Of a head's values (default: as --dim)")
      ->check(small);
  app.add_option("--q-heads", request.num_q_heads,
                 "Query heads (default: as --kv-heads)")
      ->check(small);
  AddKvDtypeFlag(app, spec.kv_dtype);
}

void AddLoadFlags(CLI::App& app, PlanFlags& flags) {
  CapacityRequest& request = flags.request;
  const CLI::Range counts(int64_t{1}, int64_t{1} << 40);
  app.add_option("--tokens", request.tokens, "That a session comes to")
      ->required()
      ->check(counts);
  app.add_option("--sessions", request.sessions, "At a time")
      ->required()
      ->check(counts);
  app.add_option("--tokens-per-second", request.tokens_per_second,
                 "That each session decodes (default: bandwidth asks for no "
                 "replicas)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--memory-bandwidth", flags.gigabytes_per_second,
                 "GB/s (10^9 bytes) that a replica reads (default 42, as "
                 "measured for tests/bench/README.md)")
      ->check(CLI::PositiveNumber);
  AddByteSizeFlag(app, "--machine-memory", request.machine_memory,
                  "Of a replica (default 32GiB)");
  app.add_option("--headroom", request.headroom,
                 "Share of memory and bandwidth to keep free (default 0.2)");
}

int RunPlan(const PlanFlags& flags) {
  CapacityRequest request = flags.request;
  if (flags.gigabytes_per_second * 1e9 != kMeasuredBandwidth) {
    request.memory_bandwidth = flags.gigabytes_per_second * 1e9;
  }
  const absl::StatusOr<CapacityPlan> plan = MakePlan(request);
  if (!plan.ok()) {
    return PrintUsageError(plan.status());
  }
  const std::string text =
      flags.json ? RenderPlanJson(request, *plan) : RenderPlan(request, *plan);
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

}  // namespace

void AddPlanCommand(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "plan", "Compute what a load of sessions needs; asks no server");
  auto flags = std::make_shared<PlanFlags>();
  flags->request.spec.num_layers = 0;
  AddModelFlags(*command, flags->request);
  AddLoadFlags(*command, *flags);
  AddJsonFlags(*command, flags->json);
  command->callback(
      [flags, &action] { action = [flags] { return RunPlan(*flags); }; });
}

}  // namespace attn::attnctl
