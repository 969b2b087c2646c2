// `attnctl bench`: flags -> problems, sender, loop -> figures.
#include <cstdio>
#include <memory>

#include "client/cpp/attnctl/bench_flags.h"
#include "client/cpp/attnctl/bench_report.h"
#include "client/cpp/attnctl/decode_bench.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/interrupt.h"
#include "client/cpp/attnctl/load_generator.h"
#include "client/cpp/attnctl/partial_file.h"
#include "client/cpp/attnctl/progress_bar.h"

namespace attn::attnctl {
namespace {

std::unique_ptr<Sender> MakeSender(Method method, client::Client& client) {
  switch (method) {
    case Method::kBatch:
      return MakeBatchSender(client);
    case Method::kStream:
      return MakeStreamSender(client);
    case Method::kAttend:
      break;
  }
  return MakeUnarySender(client);
}

LoadPlan PlanOf(const BenchFlags& flags) {
  LoadPlan plan;
  plan.concurrency = flags.concurrency;
  plan.max_in_flight = flags.max_in_flight;
  plan.items_per_send = flags.method == Method::kBatch ? flags.batch_items : 1;
  plan.max_requests = flags.requests;
  plan.duration = LoadDuration(flags);
  return plan;
}

absl::Duration RunLoad(const BenchFlags& flags, const LoadParts& parts) {
  const LoadPlan plan = PlanOf(flags);
  const ProgressBar bar({LoadDuration(flags), flags.requests}, parts.record);
  if (flags.rate > 0) {
    return RunOpenLoop(
        plan, LoadSchedule(flags.arrivals, flags.rate, flags.seed), parts);
  }
  return RunClosedLoop(plan, parts);
}

// Sends the requests that have a fingerprint again, one after the other.
void Verify(client::Client& client, const ProblemSource& source,
            BenchReport& report) {
  for (const auto& [index, fingerprint] : report.figures.fingerprints) {
    const absl::StatusOr<client::AttendResponse> response =
        client.Attend(source.Make(index));
    if (!response.ok()) {
      PrintCallError(response.status());
      return;
    }
    ++report.verified;
    report.mismatched += Fingerprint(response->output) != fingerprint ? 1 : 0;
  }
}

int ExitCodeOf(const BenchFlags& flags, const BenchReport& report) {
  const bool verified = report.verified == report.figures.fingerprints.size() &&
                        report.mismatched == 0;
  const bool served = report.figures.failed == 0 &&
                      (report.figures.completed > 0 || report.stopped_early);
  return served && (flags.verify == 0 || verified) ? kExitOk : kExitFailed;
}

int RunBench(const BenchFlags& flags, const GlobalOptions& globals) {
  if (absl::Status status = CheckBenchFlags(flags); !status.ok()) {
    return PrintUsageError(status);
  }
  if (flags.decode.sessions > 0) {
    return RunDecodeBench(flags, globals);
  }
  const absl::StatusOr<ProblemSource> source =
      ProblemSource::Create(flags.shape, flags.seed);
  if (!source.ok()) {
    return PrintUsageError(source.status());
  }
  InterruptibleClock clock;
  const std::unique_ptr<client::Client> connected = Connect(globals);
  if (connected == nullptr) {
    return kExitUsage;
  }
  LoadRecord record(flags.verify);
  BenchReport report;
  {
    const std::unique_ptr<Sender> sender = MakeSender(flags.method, *connected);
    report.elapsed = RunLoad(flags, {*source, *sender, record, clock});
  }
  report.figures = record.Copy();
  report.stopped_early = clock.stopped();
  if (!report.stopped_early) {
    Verify(*connected, *source, report);
  }
  std::fputs(RenderTable(report).c_str(), stdout);
  if (absl::Status status = WriteText(flags.json_path, RenderJson(report));
      !status.ok()) {
    return PrintUsageError(status);
  }
  return ExitCodeOf(flags, report);
}

}  // namespace

void AddBenchCommand(CLI::App& app, const GlobalOptions& globals,
                     Action& action) {
  CLI::App* command = app.add_subcommand(
      "bench", "Load a server and print throughput and latency");
  command->footer(
      "Exit code 0: every request completed (and verified), else 1.");
  auto flags = std::make_shared<BenchFlags>();
  AddBenchFlags(*command, *flags);
  command->callback([flags, &globals, &action] {
    action = [flags, &globals] { return RunBench(*flags, globals); };
  });
}

}  // namespace attn::attnctl
