// What `attnctl doctor` finds out about a server before it judges. The member
// functions of DoctorFacts are const and pure: thread-compatible.
#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cpp/attnctl/prometheus_text.h"
#include "client/cpp/client.h"

namespace attn::attnctl {

// One Attend whose answer is known.
struct ProbeCall {
  absl::Status status = absl::OkStatus();
  bool is_right = false;
  absl::Duration round_trip = absl::ZeroDuration();  // The median of a few.
};

// /metrics and /statusz.
struct HttpFacts {
  MetricSet metrics;
  // "max-isa" -> "auto"; what --print-config prints.
  std::map<std::string, std::string> settings;
  std::string huge_pages;  // always, madvise, never, or "": not known.

  // A setting, or "" where there is none.
  std::string Setting(const std::string& name) const;
  // A label of attn_build_info, or "".
  std::string Build(const std::string& label) const;
};

struct DoctorFacts {
  std::string address;
  std::string http_address;
  std::string client_version;
  std::string token;  // For HTTP; "": none.
  absl::StatusOr<client::Health> health;
  bool is_http_port = false;  // HTTP answers at `address`.
  ProbeCall probe;
  absl::StatusOr<HttpFacts> http;
};

// Facts of /metrics and of the JSON of /statusz. Errors: INVALID_ARGUMENT for
// texts that are neither.
absl::StatusOr<HttpFacts> ReadHttpFacts(const std::string& metrics,
                                        const std::string& statusz);

// Asks a server. What does not answer is an error inside of the facts.
DoctorFacts GatherFacts(client::Client& connected, DoctorFacts facts,
                        absl::Duration timeout);

}  // namespace attn::attnctl
