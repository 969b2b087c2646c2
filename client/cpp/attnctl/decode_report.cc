#include "client/cpp/attnctl/decode_report.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/latency_text.h"

namespace attn::attnctl {
namespace {

double PerSecond(uint64_t amount, absl::Duration elapsed) {
  const double seconds = absl::ToDoubleSeconds(elapsed);
  return seconds > 0 ? static_cast<double>(amount) / seconds : 0.0;
}

double MeanBatchSize(const LoadFigures& calls) {
  return calls.completed == 0
             ? 0.0
             : calls.batch_size_sum / static_cast<double>(calls.completed);
}

}  // namespace

std::string RenderDecodeTable(const DecodeReport& report) {
  const DecodeFigures& decode = report.decode;
  const LoadFigures& calls = report.calls;
  std::string text;
  if (report.stopped_early) {
    text = "stopped early; the figures so far:\n";
  }
  absl::StrAppendFormat(
      &text, "sessions         %d with %d layers and %d tokens each%s\n",
      report.plan.sessions, report.plan.spec.num_layers, report.plan.prefix,
      report.plan.batch ? ", in one AttendBatch" : "");
  absl::StrAppendFormat(&text, "prefix           %.1f tokens/s, %d in %s\n",
                        PerSecond(decode.prefix_tokens, decode.prefix_elapsed),
                        decode.prefix_tokens,
                        absl::FormatDuration(decode.prefix_elapsed));
  absl::StrAppendFormat(&text, "decode           %.1f tokens/s, %d in %s\n",
                        PerSecond(decode.tokens, decode.decode_elapsed),
                        decode.tokens,
                        absl::FormatDuration(decode.decode_elapsed));
  absl::StrAppendFormat(&text,
                        "attends          %d completed, %d failed, server "
                        "batch %.2f tasks on average\n\n",
                        calls.completed, calls.failed, MeanBatchSize(calls));
  absl::StrAppend(&text,
                  RenderLatencies({{"token", &decode.token_latency},
                                   {"call", &calls.latency},
                                   {"server queue", &calls.server_queue},
                                   {"server compute", &calls.server_compute}}));
  if (!calls.errors.empty()) {
    text.append("\nerrors\n");
  }
  for (const auto& [name, count] : calls.errors) {
    absl::StrAppendFormat(&text, "  %-40s %d\n", name, count);
  }
  return text;
}

std::string RenderDecodeJson(const DecodeReport& report) {
  const DecodeFigures& decode = report.decode;
  const LoadFigures& calls = report.calls;
  std::vector<std::pair<std::string, std::string>> entries = {
      {"sessions", absl::StrCat(report.plan.sessions)},
      {"layers", absl::StrCat(report.plan.spec.num_layers)},
      {"prefix_tokens", absl::StrCat(decode.prefix_tokens)},
      {"prefix_seconds",
       JsonNumber(absl::ToDoubleSeconds(decode.prefix_elapsed))},
      {"tokens", absl::StrCat(decode.tokens)},
      {"decode_seconds",
       JsonNumber(absl::ToDoubleSeconds(decode.decode_elapsed))},
      {"tokens_per_second",
       JsonNumber(PerSecond(decode.tokens, decode.decode_elapsed))},
      {"attends_completed", absl::StrCat(calls.completed)},
      {"attends_failed", absl::StrCat(calls.failed)},
      {"mean_batch_size", JsonNumber(MeanBatchSize(calls))},
      {"stopped_early", report.stopped_early ? "1" : "0"}};
  AddLatency({"token", &decode.token_latency}, entries);
  AddLatency({"call", &calls.latency}, entries);
  AddLatency({"server_queue", &calls.server_queue}, entries);
  AddLatency({"server_compute", &calls.server_compute}, entries);
  for (const auto& [name, count] : calls.errors) {
    entries.emplace_back("errors: " + name, absl::StrCat(count));
  }
  return JsonObject(entries);
}

}  // namespace attn::attnctl
