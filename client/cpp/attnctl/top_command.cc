// `attnctl top`: what a server does now, again and again.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/clock.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/live_json.h"
#include "client/cpp/attnctl/live_view.h"
#include "client/cpp/attnctl/metrics_scrape.h"
#include "client/cpp/attnctl/output_flag.h"

namespace attn::attnctl {
namespace {

// Beyond so many, listing them each second would be the load itself.
constexpr double kMaxListed = 1000;
constexpr char kClearScreen[] = "\x1b[H\x1b[2J";

struct TopFlags {
  std::string http = kDefaultHttpAddress;
  absl::Duration interval = absl::Seconds(1);
  int count = 0;  // 0: until interrupted.
  bool once = false;
  size_t max_sessions = 5;
  bool json = false;
};

// What the last frame began with.
struct Scrape {
  MetricSet metrics;
  absl::Time at;
};

absl::StatusOr<Scrape> Ask(const TopFlags& flags,
                           const GlobalOptions& globals) {
  absl::StatusOr<MetricSet> metrics =
      ScrapeMetrics(flags.http, globals.timeout, globals.token);
  if (!metrics.ok()) {
    return metrics.status();
  }
  return Scrape{.metrics = *std::move(metrics), .at = absl::Now()};
}

absl::StatusOr<std::string> Frame(const TopFlags& flags, const Scrape& now,
                                  const std::optional<Scrape>& before,
                                  client::Client& connected) {
  std::vector<client::Session> sessions;
  const double count = now.metrics.Sum("attn_sessions");
  if (flags.max_sessions > 0 && count > 0 && count <= kMaxListed) {
    auto listed = connected.ListAllSessions();
    if (!listed.ok()) {
      return listed.status();
    }
    sessions = *std::move(listed);
  }
  const absl::Time start =
      before.has_value() ? before->at
                         : absl::FromUnixSeconds(static_cast<int64_t>(
                               now.metrics.Sum("process_start_time_seconds")));
  const MetricSet metrics =
      before.has_value() ? now.metrics.Since(before->metrics) : now.metrics;
  const LiveFrame frame{.metrics = metrics,
                        .interval = now.at - start,
                        .is_first = !before.has_value(),
                        .sessions = sessions,
                        .max_sessions = flags.max_sessions};
  return flags.json ? RenderLiveJson(frame) : RenderLive(frame);
}

int RunTop(const TopFlags& flags, const GlobalOptions& globals) {
  const std::unique_ptr<client::Client> connected = Connect(globals);
  if (connected == nullptr) {
    return kExitUsage;
  }
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  // JSON lines are for a program, wherever they go.
  const std::string gap = flags.json ? "" : is_terminal ? kClearScreen : "\n";
  const int count = flags.once ? 1 : flags.count;
  std::optional<Scrape> before;
  for (int shown = 0; count == 0 || shown < count; ++shown) {
    if (shown > 0) {
      absl::SleepFor(flags.interval);
    }
    absl::StatusOr<Scrape> now = Ask(flags, globals);
    if (!now.ok()) {
      return PrintScrapeError(now.status());
    }
    const absl::StatusOr<std::string> frame =
        Frame(flags, *now, before, *connected);
    if (!frame.ok()) {
      return PrintCallError(frame.status());
    }
    const bool is_gap_before = shown > 0 || is_terminal;
    std::printf("%s%s", is_gap_before ? gap.c_str() : "", frame->c_str());
    std::fflush(stdout);
    before = *std::move(now);
  }
  return kExitOk;
}

}  // namespace

void AddTopCommand(CLI::App& app, const GlobalOptions& globals,
                   Action& action) {
  CLI::App* command = app.add_subcommand(
      "top", "Show what a server does, again each second, until Ctrl-C");
  auto flags = std::make_shared<TopFlags>();
  AddHttpFlag(*command, flags->http);
  AddDurationFlag(*command, "--interval", flags->interval,
                  "Time between frames (default 1s)");
  CLI::Option* count =
      command
          ->add_option("--count", flags->count,
                       "End after so many frames (default 0: on Ctrl-C)")
          ->check(CLI::Range(0, 1'000'000'000));
  command->add_flag("--once", flags->once, "One frame, since the start")
      ->excludes(count);
  command->add_option("--sessions", flags->max_sessions,
                      "Show so many sessions, the largest (default 5)");
  AddJsonFlags(*command, flags->json);
  command->callback([flags, &globals, &action] {
    action = [flags, &globals] { return RunTop(*flags, globals); };
  });
}

}  // namespace attn::attnctl
