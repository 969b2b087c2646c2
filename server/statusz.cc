#include "server/statusz.h"

#include <cmath>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "server/absl_view.h"
#include "server/json_text.h"
#include "server/statusz_text.h"
#include "server/units.h"

namespace attn {
namespace {

// One row of the page and one key of the object. The script keeps `shown` up to
// date by `unit`: count, bytes, seconds, uptime, truth, or "" for what does not
// change.
struct Fact {
  std::string_view section;
  std::string_view label;
  std::string_view key;
  std::string shown;
  std::string json;
  std::string_view unit = "";
};

Fact TextFact(std::string_view section, std::string_view label,
              std::string_view key, const std::string& text) {
  return {section, label, key, text.empty() ? "none" : text, JsonString(text)};
}

Fact NumberFact(std::string_view section, std::string_view label,
                std::string_view key, int64_t number) {
  const std::string text = absl::StrCat(number);
  return {section, label, key, text, text, "count"};
}

Fact BytesFact(std::string_view section, std::string_view label,
               std::string_view key, int64_t bytes) {
  const double mebibytes = static_cast<double>(bytes) / (1 << 20);
  return {section,
          label,
          key,
          absl::StrFormat("%.1f MiB", mebibytes),
          absl::StrCat(bytes),
          "bytes"};
}

// Milliseconds for people; nothing was measured where it is NaN.
Fact SecondsFact(std::string_view section, std::string_view label,
                 std::string_view key, double seconds) {
  if (std::isnan(seconds)) {
    return {section, label, key, "none", "null", "seconds"};
  }
  return {section,
          label,
          key,
          absl::StrFormat("%.3f ms", 1e3 * seconds),
          absl::StrFormat("%.9g", seconds),
          "seconds"};
}

void AddServer(const StatuszFacts& facts, std::vector<Fact>& rows) {
  constexpr std::string_view kSection = "Server";
  rows.push_back(TextFact(kSection, "Version", "version", facts.version));
  rows.push_back(TextFact(kSection, "oneDNN", "onednn", facts.onednn));
  rows.push_back(TextFact(kSection, "Instruction set", "isa", facts.isa));
  rows.push_back(
      TextFact(kSection, "Huge pages", "huge_pages", facts.huge_pages));
  rows.push_back({kSection, "Uptime", "uptime_seconds",
                  absl::StrFormat("%.0f s", ToSeconds(facts.uptime)),
                  absl::StrFormat("%.3f", ToSeconds(facts.uptime)), "uptime"});
  rows.push_back({kSection, "Ready", "ready", facts.ready ? "yes" : "no",
                  facts.ready ? "true" : "false", "truth"});
}

void AddLoad(const StatuszFacts& facts, std::vector<Fact>& rows) {
  constexpr std::string_view kSection = "Now";
  const EngineTotals& totals = facts.totals;
  rows.push_back(NumberFact(kSection, "Workers", "workers", facts.workers));
  rows.push_back(NumberFact(kSection, "Workers busy", "workers_busy",
                            totals.workers_busy));
  rows.push_back(
      NumberFact(kSection, "Tasks waiting", "queue_depth", totals.queue_depth));
  rows.push_back(
      BytesFact(kSection, "Bytes waiting", "queue_bytes", totals.queue_bytes));
  rows.push_back(BytesFact(kSection, "Bytes in flight", "inflight_bytes",
                           totals.inflight_bytes));
}

void AddTasks(const StatuszFacts& facts, std::vector<Fact>& rows) {
  const EngineTotals& totals = facts.totals;
  const auto add = [&rows](std::string_view label, std::string_view key,
                           int64_t count) {
    rows.push_back(NumberFact("Tasks since the start", label, key, count));
  };
  add("Admitted", "tasks_admitted", totals.admitted);
  add("Completed", "tasks_completed", totals.completed);
  add("Failed", "tasks_failed", totals.failed);
  add("Shed", "tasks_shed", totals.shed);
  add("Expired", "tasks_expired", totals.expired);
  add("Cancelled", "tasks_cancelled", totals.cancelled);
  add("Batches", "batches", totals.batches);
  add("Refused at the door", "requests_refused", totals.refused);
}

void AddMemory(const StatuszFacts& facts, std::vector<Fact>& rows) {
  const auto add = [&rows](std::string_view label, std::string_view key,
                           int64_t bytes) {
    rows.push_back(BytesFact("Sessions and memory", label, key, bytes));
  };
  rows.push_back(NumberFact("Sessions and memory", "Sessions", "sessions",
                            facts.sessions.sessions));
  add("KV pages in use", "kv_bytes", facts.sessions.kv_bytes);
  add("Of them shared", "kv_shared_bytes", facts.sessions.kv_shared_bytes);
  add("KV pages at most", "kv_bytes_limit", facts.kv_bytes_limit);
  add("Buffer pool", "pool_bytes", facts.pool_bytes);
  add("Resident memory", "resident_bytes", facts.resident_bytes);
}

void AddLayers(const StatuszFacts& facts, std::vector<Fact>& rows) {
  constexpr std::string_view kSection = "Attention layers";
  rows.push_back(NumberFact(kSection, "Loaded", "layers",
                            static_cast<int64_t>(facts.layers.names.size())));
  rows.push_back(BytesFact(kSection, "Packed weights", "layer_weight_bytes",
                           facts.layers.bytes));
  rows.push_back(BytesFact(kSection, "Packed weights at most",
                           "layer_weight_bytes_limit",
                           facts.layer_bytes_limit));
}

struct Percentile {
  std::string_view label;
  std::string_view key;
  const Distribution& distribution;
  double fraction;
};

void AddLatency(const LoadDistributions& now, std::vector<Fact>& rows) {
  const Percentile percentiles[] = {
      {"Calls, median", "call_p50_seconds", now.call_seconds, 0.5},
      {"Calls, p90", "call_p90_seconds", now.call_seconds, 0.9},
      {"Calls, p99", "call_p99_seconds", now.call_seconds, 0.99},
      {"Queue, median", "queue_wait_p50_seconds", now.queue_wait_seconds, 0.5},
      {"Queue, p99", "queue_wait_p99_seconds", now.queue_wait_seconds, 0.99},
      {"Compute, median", "compute_p50_seconds", now.compute_seconds, 0.5},
      {"Compute, p99", "compute_p99_seconds", now.compute_seconds, 0.99}};
  for (const Percentile& row : percentiles) {
    rows.push_back(SecondsFact("Latency since the start", row.label, row.key,
                               row.distribution.Quantile(row.fraction)));
  }
}

std::vector<Fact> Rows(const StatuszFacts& facts) {
  std::vector<Fact> rows;
  AddServer(facts, rows);
  AddLoad(facts, rows);
  AddMemory(facts, rows);
  AddLayers(facts, rows);
  AddTasks(facts, rows);
  AddLatency(facts.distributions, rows);
  return rows;
}

std::string JsonHistogram(const Distribution& distribution) {
  // Six digits, as StrJoin has them, would not do for bytes.
  const auto exact = [](std::string* out, double bound) {
    absl::StrAppendFormat(out, "%.12g", bound);
  };
  return absl::StrCat(
      "{\"bounds\":[", absl::StrJoin(distribution.bounds, ",", exact),
      "],\"counts\":[", absl::StrJoin(distribution.counts, ","),
      "],\"sum\":", absl::StrFormat("%.17g", distribution.sum), "}");
}

std::string JsonHistograms(const LoadDistributions& now) {
  return absl::StrCat(
      "{\"call_seconds\":", JsonHistogram(now.call_seconds),
      ",\"queue_wait_seconds\":", JsonHistogram(now.queue_wait_seconds),
      ",\"compute_seconds\":", JsonHistogram(now.compute_seconds),
      ",\"batch_size\":", JsonHistogram(now.batch_size),
      ",\"batch_tokens\":", JsonHistogram(now.batch_tokens),
      ",\"request_bytes\":", JsonHistogram(now.request_bytes),
      ",\"response_bytes\":", JsonHistogram(now.response_bytes), "}");
}

std::string EscapeHtml(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"},
                                    {"<", "&lt;"},
                                    {">", "&gt;"},
                                    {"\"", "&quot;"},
                                    {"'", "&#39;"}});
}

}  // namespace

std::string RenderStatuszHtml(const StatuszFacts& facts) {
  std::string sections;
  std::string_view section;
  for (const Fact& row : Rows(facts)) {
    if (row.section != section) {
      absl::StrAppend(&sections, section.empty() ? "" : "</table></section>\n",
                      "<section><h2>", AbslView(row.section),
                      "</h2>\n<table>\n");
      section = row.section;
    }
    absl::StrAppend(&sections, "<tr><th scope=\"row\">", AbslView(row.label),
                    "</th><td id=\"", AbslView(row.key), "\" data-unit=\"",
                    AbslView(row.unit), "\">", EscapeHtml(row.shown),
                    "</td></tr>\n");
  }
  return absl::StrReplaceAll(
      kStatuszPage, {{"{{sections}}", sections + "</table></section>\n"},
                     {"{{config}}", EscapeHtml(facts.config)}});
}

std::string RenderStatuszJson(const StatuszFacts& facts) {
  std::string object = "{";
  for (const Fact& row : Rows(facts)) {
    absl::StrAppend(&object, JsonString(row.key), ":", row.json, ",");
  }
  absl::StrAppend(&object,
                  "\"histograms\":", JsonHistograms(facts.distributions),
                  ",\"config\":", JsonString(facts.config), "}\n");
  return object;
}

std::vector<HttpFile> StatuszFiles() {
  const auto view = [](absl::string_view text) {
    return std::string_view(text.data(), text.size());
  };
  return {
      {"/statusz.js", "text/javascript; charset=utf-8", view(kStatuszScript)},
      {"/statusz.css", "text/css; charset=utf-8", view(kStatuszStyle)}};
}

}  // namespace attn
