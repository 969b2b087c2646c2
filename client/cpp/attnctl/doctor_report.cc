#include "client/cpp/attnctl/doctor_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/error_details.h"

namespace attn::attnctl {
namespace {

using client::Health;

constexpr absl::Duration kSlowRoundTrip = absl::Milliseconds(20);
// Of the KV budget; appends are refused at 1.
constexpr double kNearlyFull = 0.9;
// Of all tasks; a few are ordinary.
constexpr double kManyExpired = 0.01;

Finding Fine(const std::string& topic, const std::string& found) {
  return {Verdict::kFine, topic, found, ""};
}

Finding CheckHealth(const DoctorFacts& facts) {
  Finding finding = Fine("gRPC", absl::StrCat(facts.address, " serves"));
  if (facts.health.ok() && *facts.health == Health::kServing) {
    return finding;
  }
  finding.verdict = Verdict::kWrong;
  if (facts.health.ok()) {
    finding.found =
        absl::StrCat(facts.address, " answers that it is ",
                     std::string(client::HealthName(*facts.health)));
    finding.advice = "it is starting or being stopped; ask again, or another";
  } else if (facts.is_http_port) {
    finding.found = absl::StrCat(facts.address, " speaks HTTP, not gRPC");
    finding.advice =
        "give gRPC's port to --address: 8001, unless --grpc-address says "
        "otherwise";
  } else {
    finding.found = absl::StrCat(facts.address, ": ",
                                 client::DescribeError(facts.health.status()));
    finding.advice =
        "is a server running there? (deploy/local/run starts one.) It listens "
        "on 127.0.0.1 alone, unless --grpc-address says otherwise";
  }
  return finding;
}

Finding CheckProbe(const ProbeCall& probe) {
  Finding finding =
      Fine("answer", absl::StrCat("right; a small call takes ",
                                  absl::FormatDuration(absl::Trunc(
                                      probe.round_trip, absl::Microseconds(1))),
                                  " there and back"));
  if (!probe.status.ok()) {
    return {Verdict::kWrong, "answer", client::DescribeError(probe.status),
            "attnctl help errors"};
  }
  if (!probe.is_right) {
    return {Verdict::kWrong, "answer", "wrong numbers for a known problem",
            "take the server out of use and report it, with its version"};
  }
  if (probe.round_trip > kSlowRoundTrip) {
    finding.verdict = Verdict::kAdvice;
    finding.advice = "slow for a call that computes nothing: load or distance";
  }
  return finding;
}

Finding CheckVersion(const DoctorFacts& facts, const HttpFacts& http) {
  const std::string version = http.Build("version");
  Finding finding = Fine("version", version);
  if (version != facts.client_version) {
    finding.verdict = Verdict::kAdvice;
    finding.advice =
        absl::StrCat("attnctl is ", facts.client_version, "; use the same");
  }
  return finding;
}

Finding CheckIsa(const HttpFacts& http) {
  Finding finding = Fine("isa", http.Build("isa"));
  const std::string max_isa = http.Setting("max-isa");
  if (http.Build("onednn").empty()) {
    finding.verdict = Verdict::kAdvice;
    finding.advice = "built without oneDNN: prefill is many times slower";
  } else if (!max_isa.empty() && max_isa != "auto") {
    finding.verdict = Verdict::kAdvice;
    finding.advice = absl::StrCat("capped by --max-isa ", max_isa,
                                  "; auto takes what the CPU has");
  }
  return finding;
}

Finding CheckHugePages(const HttpFacts& http) {
  if (http.huge_pages != "never") {
    return Fine("huge pages",
                http.huge_pages.empty() ? "not known" : http.huge_pages);
  }
  return {Verdict::kAdvice, "huge pages", http.huge_pages,
          "decoding is bound by memory: as root on the server, echo madvise > "
          "/sys/kernel/mm/transparent_hugepage/enabled"};
}

Finding ListSettings(const std::string& topic, const HttpFacts& http,
                     const std::vector<std::string>& names) {
  std::vector<std::string> words;
  words.reserve(names.size());
  for (const std::string& name : names) {
    words.push_back(absl::StrCat(name, " ", http.Setting(name)));
  }
  return Fine(topic, absl::StrJoin(words, ", "));
}

Finding CheckWorkers(const HttpFacts& http) {
  return Fine(
      "workers",
      absl::StrFormat("%.0f, %.0f at work", http.metrics.Sum("attn_workers"),
                      http.metrics.Sum("attn_workers_busy")));
}

Finding CheckKvMemory(const MetricSet& metrics) {
  constexpr double kMebi = 1 << 20;
  const double used = metrics.Sum("attn_kv_bytes");
  const double limit = metrics.Sum("attn_kv_bytes_limit");
  Finding finding =
      Fine("sessions", absl::StrFormat("%.0f, %.1f of %.1f MiB",
                                       metrics.Sum("attn_sessions"),
                                       used / kMebi, limit / kMebi));
  if (used > kNearlyFull * limit) {
    finding.verdict = Verdict::kAdvice;
    finding.advice =
        "appends will be refused with KV_MEMORY: delete sessions, shorten "
        "their --idle-ttl, keep them as bf16 or int8, or raise --kv-memory";
  }
  return finding;
}

Finding CheckTasks(const MetricSet& metrics) {
  const auto tasks = [&metrics](const char* outcome) {
    return metrics.Sum("attn_tasks_total", {{"outcome", outcome}});
  };
  const double failed = tasks("failed");
  const double expired = tasks("expired") + tasks("shed");
  const double admitted = metrics.Sum("attn_admitted_tasks_total");
  Finding finding =
      Fine("tasks", absl::StrFormat("%.0f admitted, %.0f failed, %.0f too late",
                                    admitted, failed, expired));
  if (failed > 0) {
    finding.verdict = Verdict::kWrong;
    finding.advice = "a bug or a library's failure; the server's log says why";
  } else if (expired > kManyExpired * admitted) {
    finding.verdict = Verdict::kAdvice;
    finding.advice = "deadlines pass in the queue: less load or more servers";
  }
  return finding;
}

Finding CheckRefusals(const MetricSet& metrics) {
  std::vector<std::string> words;
  for (const auto& [reason, count] :
       metrics.SumBy("attn_refused_total", "reason")) {
    if (count > 0) {
      words.push_back(absl::StrFormat("%.0f %s", count, reason));
    }
  }
  if (words.empty()) {
    return Fine("refused", "nothing");
  }
  return {Verdict::kAdvice, "refused", absl::StrJoin(words, ", "),
          "since the start; what each asks for: attnctl help errors"};
}

void AddHttpFindings(const DoctorFacts& facts, std::vector<Finding>& findings) {
  if (!facts.http.ok()) {
    findings.push_back(
        {Verdict::kAdvice, "HTTP",
         absl::StrCat(facts.http_address, ": ",
                      client::DescribeError(facts.http.status())),
         "without /metrics and /statusz the rest is not known; --http says "
         "where they are"});
    return;
  }
  const HttpFacts& http = *facts.http;
  findings.push_back(CheckVersion(facts, http));
  findings.push_back(CheckIsa(http));
  findings.push_back(CheckHugePages(http));
  findings.push_back(CheckWorkers(http));
  findings.push_back(
      ListSettings("listens on", http, {"grpc-address", "http-address"}));
  findings.push_back(
      ListSettings("limits", http,
                   {"max-request-bytes", "max-reply-bytes", "max-queue-tasks",
                    "max-queue-bytes", "max-queue-wait", "max-batch-tasks"}));
  findings.push_back(CheckKvMemory(http.metrics));
  findings.push_back(CheckTasks(http.metrics));
  findings.push_back(CheckRefusals(http.metrics));
}

const char* NameOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kFine:
      return "fine";
    case Verdict::kAdvice:
      return "advice";
    case Verdict::kWrong:
      break;
  }
  return "wrong";
}

}  // namespace

std::vector<Finding> Diagnose(const DoctorFacts& facts) {
  std::vector<Finding> findings = {CheckHealth(facts)};
  if (facts.health.ok()) {
    findings.push_back(CheckProbe(facts.probe));
  }
  AddHttpFindings(facts, findings);
  return findings;
}

bool IsAnythingWrong(const std::vector<Finding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const Finding& f) {
    return f.verdict == Verdict::kWrong;
  });
}

std::string RenderFindings(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings) {
    absl::StrAppendFormat(&text, "%-7s %-11s %s\n", NameOf(finding.verdict),
                          finding.topic, finding.found);
    if (!finding.advice.empty()) {
      absl::StrAppendFormat(&text, "%-19s -> %s\n", "", finding.advice);
    }
  }
  return text;
}

std::string RenderFindingsJson(const std::vector<Finding>& findings) {
  std::vector<std::string> objects;
  objects.reserve(findings.size());
  for (const Finding& finding : findings) {
    objects.push_back(absl::StrCat(
        "{\"verdict\": ", JsonString(NameOf(finding.verdict)), ", \"topic\": ",
        JsonString(finding.topic), ", \"found\": ", JsonString(finding.found),
        ", \"advice\": ", JsonString(finding.advice), "}"));
  }
  return absl::StrCat("[", absl::StrJoin(objects, ",\n "), "]\n");
}

}  // namespace attn::attnctl
