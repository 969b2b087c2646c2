#include "client/cpp/error_details.h"

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace attn::client {
namespace {

template <typename Detail>
std::string TypeUrl() {
  return absl::StrCat("type.googleapis.com/",
                      Detail::descriptor()->full_name());
}

template <typename Detail>
std::optional<Detail> FindDetail(const absl::Status& status) {
  const absl::optional<absl::Cord> payload =
      status.GetPayload(TypeUrl<Detail>());
  Detail detail;
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) {
    return std::nullopt;
  }
  return detail;
}

}  // namespace

std::string ErrorReason(const absl::Status& status) {
  const auto detail = FindDetail<google::rpc::ErrorInfo>(status);
  return detail.has_value() ? detail->reason() : "";
}

std::map<std::string, std::string> ErrorMetadata(const absl::Status& status) {
  const auto detail = FindDetail<google::rpc::ErrorInfo>(status);
  if (!detail.has_value()) {
    return {};
  }
  return {detail->metadata().begin(), detail->metadata().end()};
}

std::optional<uint64_t> FoundLength(const absl::Status& status) {
  const std::map<std::string, std::string> metadata = ErrorMetadata(status);
  const auto entry = metadata.find("found_length");
  uint64_t length = 0;
  if (entry == metadata.end() || !absl::SimpleAtoi(entry->second, &length)) {
    return std::nullopt;
  }
  return length;
}

std::vector<FieldViolation> FieldViolations(const absl::Status& status) {
  std::vector<FieldViolation> violations;
  const auto detail = FindDetail<google::rpc::BadRequest>(status);
  if (detail.has_value()) {
    for (const auto& violation : detail->field_violations()) {
      violations.push_back({violation.field(), violation.description()});
    }
  }
  return violations;
}

std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  const auto detail = FindDetail<google::rpc::RetryInfo>(status);
  if (!detail.has_value() || !detail->has_retry_delay()) {
    return std::nullopt;
  }
  return absl::Seconds(detail->retry_delay().seconds()) +
         absl::Nanoseconds(detail->retry_delay().nanos());
}

std::string DescribeError(const absl::Status& status) {
  std::string text = absl::StatusCodeToString(status.code());
  if (const std::string reason = ErrorReason(status); !reason.empty()) {
    absl::StrAppend(&text, " (", reason, ")");
  }
  absl::StrAppend(&text, ": ", status.message());
  const std::string message(status.message());
  for (const FieldViolation& violation : FieldViolations(status)) {
    if (message.find(violation.field) == std::string::npos) {
      absl::StrAppend(&text, "\n  ", violation.field, ": ",
                      violation.description);
    }
  }
  if (const auto delay = RetryDelay(status); delay.has_value()) {
    absl::StrAppend(&text, "\n  retry after ", absl::FormatDuration(*delay));
  }
  if (const auto length = FoundLength(status); length.has_value()) {
    absl::StrAppend(&text, "\n  found length ", *length);
  }
  return text;
}

absl::Status MakeStatus(int code, std::string_view message,
                        std::string_view serialized_details) {
  if (code == 0) {
    return absl::OkStatus();
  }
  constexpr int kLastCode = 16;
  const auto known = code > 0 && code <= kLastCode
                         ? static_cast<absl::StatusCode>(code)
                         : absl::StatusCode::kUnknown;
  absl::Status status(known, absl::string_view(message.data(), message.size()));
  google::rpc::Status details;
  if (details.ParseFromArray(serialized_details.data(),
                             static_cast<int>(serialized_details.size()))) {
    for (const auto& detail : details.details()) {
      status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
    }
  }
  return status;
}

}  // namespace attn::client
