#include "client/cpp/attnctl/doctor_facts.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "client/cpp/attnctl/http_get.h"

namespace attn::attnctl {
namespace {

using client::Tensor;

constexpr int kProbes = 5;

// One head, two keys, scale 1/sqrt(1): scores 0 and ln 3, weights 1/4 and 3/4.
client::AttendRequest ProbeRequest() {
  client::AttendRequest request;
  request.query = Tensor::FromFloats({1.0F}, {1, 1, 1, 1}).value();
  request.key =
      Tensor::FromFloats({0.0F, std::log(3.0F)}, {1, 1, 2, 1}).value();
  request.value = Tensor::FromFloats({4.0F, 8.0F}, {1, 1, 2, 1}).value();
  return request;
}

bool IsProbeAnswer(const client::AttendResponse& response) {
  constexpr float kExpected = 7.0F;  // 4 / 4 + 8 * 3 / 4.
  constexpr float kMaxError = 1e-5F;
  const auto output = response.output.ToFloats();
  return output.ok() && output->size() == 1 &&
         std::abs(output->front() - kExpected) <= kMaxError;
}

ProbeCall Probe(client::Client& connected) {
  ProbeCall probe{.is_right = true};
  const client::AttendRequest request = ProbeRequest();
  std::vector<absl::Duration> times;
  for (int i = 0; i < kProbes; ++i) {
    const absl::Time start = absl::Now();
    const auto response = connected.Attend(request);
    times.push_back(absl::Now() - start);
    if (!response.ok()) {
      return {.status = response.status()};
    }
    probe.is_right = probe.is_right && IsProbeAnswer(*response);
  }
  std::sort(times.begin(), times.end());
  probe.round_trip = times[times.size() / 2];
  return probe;
}

// "name = value" lines; comments and others are left out.
std::map<std::string, std::string> ReadSettings(const std::string& config) {
  std::map<std::string, std::string> settings;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(config, '\n'))) {
    const std::vector<std::string> sides =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    if (sides.size() == 2 && line.front() != '#') {
      settings[std::string(absl::StripAsciiWhitespace(sides[0]))] =
          std::string(absl::StripAsciiWhitespace(sides[1]));
    }
  }
  return settings;
}

absl::StatusOr<HttpFacts> AskHttp(const std::string& address,
                                  absl::Duration timeout,
                                  const std::string& token) {
  const auto metrics = HttpGet(address, "/metrics", timeout, token);
  if (!metrics.ok()) {
    return metrics.status();
  }
  const auto statusz = HttpGet(address, "/statusz?format=json", timeout, token);
  if (!statusz.ok()) {
    return statusz.status();
  }
  return ReadHttpFacts(*metrics, *statusz);
}

}  // namespace

std::string HttpFacts::Setting(const std::string& name) const {
  const auto found = settings.find(name);
  return found == settings.end() ? "" : found->second;
}

std::string HttpFacts::Build(const std::string& label) const {
  for (const MetricSample& sample : metrics.samples()) {
    const auto found = sample.labels.find(label);
    if (sample.name == "attn_build_info" && found != sample.labels.end()) {
      return found->second;
    }
  }
  return "";
}

absl::StatusOr<HttpFacts> ReadHttpFacts(const std::string& metrics,
                                        const std::string& statusz) {
  absl::StatusOr<MetricSet> parsed = MetricSet::Parse(metrics);
  if (!parsed.ok()) {
    return parsed.status();
  }
  google::protobuf::Struct object;
  if (!google::protobuf::util::JsonStringToMessage(statusz, &object).ok()) {
    return absl::InvalidArgumentError("/statusz is no JSON object");
  }
  const auto text = [&object](const char* key) {
    const auto found = object.fields().find(key);
    return found == object.fields().end() ? "" : found->second.string_value();
  };
  return HttpFacts{.metrics = *std::move(parsed),
                   .settings = ReadSettings(text("config")),
                   .huge_pages = text("huge_pages")};
}

DoctorFacts GatherFacts(client::Client& connected, DoctorFacts facts,
                        absl::Duration timeout) {
  facts.health = connected.CheckHealth("");
  if (facts.health.ok()) {
    facts.probe = Probe(connected);
  } else {
    facts.is_http_port = HttpGet(facts.address, "/livez", timeout).ok();
  }
  facts.http = AskHttp(facts.http_address, timeout, facts.token);
  return facts;
}

}  // namespace attn::attnctl
