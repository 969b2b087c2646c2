#include "client/cpp/attnctl/decode_report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/latency_text.h"
#include "client/cpp/attnctl/load_text.h"
#include "client/cpp/attnctl/rate.h"

namespace attn::attnctl {
namespace {

double TokensPerSecond(uint64_t tokens, absl::Duration elapsed) {
  return PerSecond(static_cast<double>(tokens), elapsed);
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
  absl::StrAppendFormat(
      &text, "prefix           %.1f tokens/s, %d in %s\n",
      TokensPerSecond(decode.prefix_tokens, decode.prefix_elapsed),
      decode.prefix_tokens, absl::FormatDuration(decode.prefix_elapsed));
  absl::StrAppendFormat(&text, "decode           %.1f tokens/s, %d in %s\n",
                        TokensPerSecond(decode.tokens, decode.decode_elapsed),
                        decode.tokens,
                        absl::FormatDuration(decode.decode_elapsed));
  absl::StrAppendFormat(&text,
                        "attends          %d completed, %d failed, server "
                        "batch %.2f tasks on average\n\n",
                        calls.completed, calls.failed, calls.mean_batch_size());
  absl::StrAppend(&text,
                  RenderLatencies({{"token", &decode.token_latency},
                                   {"call", &calls.latency},
                                   {"server queue", &calls.server_queue},
                                   {"server compute", &calls.server_compute}}),
                  RenderErrors(calls));
  return text;
}

std::string RenderDecodeJson(const DecodeReport& report) {
  const DecodeFigures& decode = report.decode;
  const LoadFigures& calls = report.calls;
  JsonEntries entries = {
      {"sessions", absl::StrCat(report.plan.sessions)},
      {"layers", absl::StrCat(report.plan.spec.num_layers)},
      {"prefix_tokens", absl::StrCat(decode.prefix_tokens)},
      {"prefix_seconds",
       JsonNumber(absl::ToDoubleSeconds(decode.prefix_elapsed))},
      {"tokens", absl::StrCat(decode.tokens)},
      {"decode_seconds",
       JsonNumber(absl::ToDoubleSeconds(decode.decode_elapsed))},
      {"tokens_per_second",
       JsonNumber(TokensPerSecond(decode.tokens, decode.decode_elapsed))},
      {"attends_completed", absl::StrCat(calls.completed)},
      {"attends_failed", absl::StrCat(calls.failed)},
      {"mean_batch_size", JsonNumber(calls.mean_batch_size())},
      {"stopped_early", report.stopped_early ? "1" : "0"}};
  AddLatency({"token", &decode.token_latency}, entries);
  AddLatency({"call", &calls.latency}, entries);
  AddLatency({"server_queue", &calls.server_queue}, entries);
  AddLatency({"server_compute", &calls.server_compute}, entries);
  AddErrors(calls, entries);
  return JsonObject(entries);
}

}  // namespace attn::attnctl
