// `attnctl bench`: flags -> problems, sender, loop -> figures.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/attnctl/bench_flags.h"
#include "client/cpp/attnctl/bench_report.h"
#include "client/cpp/attnctl/decode_bench.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/interrupt.h"
#include "client/cpp/attnctl/latency_plot.h"
#include "client/cpp/attnctl/load_generator.h"
#include "client/cpp/attnctl/load_levels.h"
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

// What a run needs beside its flags; all outlive it.
struct Bench {
  client::Client& client;
  const ProblemSource& source;
  InterruptibleClock& clock;
};

BenchReport RunLevel(const BenchFlags& flags, const Bench& bench) {
  LoadRecord record(flags.verify);
  BenchReport report;
  {
    const std::unique_ptr<Sender> sender =
        MakeSender(flags.method, bench.client);
    report.elapsed =
        RunLoad(flags, {bench.source, *sender, record, bench.clock});
  }
  report.figures = record.Copy();
  report.stopped_early = bench.clock.stopped();
  if (!report.stopped_early) {
    Verify(bench.client, bench.source, report);
  }
  return report;
}

// "q_len 1, 1024 keys, 8 heads of 64", for the picture.
std::string TitleOf(const ProblemShape& shape) {
  const auto text = [](const LengthRange& range) {
    return range.first == range.last
               ? absl::StrCat(range.first)
               : absl::StrCat(range.first, "..", range.last);
  };
  return absl::StrCat("Latency: q_len ", text(shape.q_len), ", ",
                      text(shape.kv_len), " keys, ", shape.num_q_heads,
                      " heads of ", shape.head_dim);
}

absl::Status Show(const BenchFlags& flags, const LoadLevels& levels) {
  const bool is_single = levels.levels.size() == 1;
  const BenchReport& first = levels.levels.front().report;
  const std::string json =
      is_single ? RenderJson(first) : RenderLevelsJson(levels);
  const std::string table =
      is_single ? RenderTable(first) : RenderLevels(levels);
  std::fputs(flags.json ? json.c_str() : table.c_str(), stdout);
  absl::Status status = WriteText(flags.json_path, json);
  if (!flags.plot_path.empty()) {
    status.Update(
        WriteText(flags.plot_path,
                  RenderLatencyPlot(PlotOf(levels, TitleOf(flags.shape)))));
  }
  return status;
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
  LoadLevels levels{.is_open_loop = !flags.rates.empty()};
  int exit_code = kExitOk;
  for (const BenchFlags& level : LevelsOf(flags)) {
    if (!levels.levels.empty() && clock.stopped()) {
      break;
    }
    BenchReport report = RunLevel(level, {*connected, *source, clock});
    exit_code = std::max(exit_code, ExitCodeOf(level, report));
    const double load = levels.is_open_loop
                            ? level.rate
                            : static_cast<double>(level.concurrency);
    levels.levels.push_back({load, std::move(report)});
  }
  const absl::Status shown = Show(flags, levels);
  return shown.ok() ? exit_code : PrintUsageError(shown);
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
