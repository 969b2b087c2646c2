#include "core/base/error.h"

#include <charconv>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attn {
namespace {

constexpr char kReasonUrl[] = "attn/reason";
constexpr char kFieldUrl[] = "attn/field";
constexpr char kRetryUrl[] = "attn/retry_ns";
constexpr char kFoundLengthUrl[] = "attn/found_length";

// absl of Debian 12 has its own string_view.
absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

void SetField(absl::Status& status, std::string_view field) {
  status.SetPayload(kFieldUrl, absl::Cord(View(field)));
}

std::string FieldMessage(std::string_view field, std::string_view rule,
                         std::string_view found) {
  return absl::StrCat(View(field), " ", View(rule), "; got ", View(found));
}

absl::Status FieldError(Reason reason, std::string_view field,
                        std::string_view rule, std::string_view found) {
  absl::Status status = MakeError(absl::StatusCode::kInvalidArgument, reason,
                                  FieldMessage(field, rule, found));
  SetField(status, field);
  return status;
}

std::optional<int64_t> IntegerPayload(const absl::Status& status,
                                      const char* url) {
  const auto payload = status.GetPayload(url);
  if (!payload.has_value()) return std::nullopt;
  const std::string text(*payload);
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

}  // namespace

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "";
    case Reason::kInvalidTensor:
      return "INVALID_TENSOR";
    case Reason::kInvalidOption:
      return "INVALID_OPTION";
    case Reason::kRequestTooLarge:
      return "REQUEST_TOO_LARGE";
    case Reason::kQueueFull:
      return "QUEUE_FULL";
    case Reason::kDeadlineUnreachable:
      return "DEADLINE_UNREACHABLE";
    case Reason::kDraining:
      return "DRAINING";
    case Reason::kNotServed:
      return "NOT_SERVED";
    case Reason::kKvMemory:
      return "KV_MEMORY";
    case Reason::kQuota:
      return "QUOTA";
    case Reason::kSessionNeverExisted:
      return "SESSION_NEVER_EXISTED";
    case Reason::kSessionExpired:
      return "SESSION_EXPIRED";
    case Reason::kSessionDeleted:
      return "SESSION_DELETED";
    case Reason::kServerRestarted:
      return "SERVER_RESTARTED";
    case Reason::kLengthMismatch:
      return "LENGTH_MISMATCH";
    case Reason::kSpecMismatch:
      return "SPEC_MISMATCH";
    case Reason::kMaxLength:
      return "MAX_LENGTH";
    case Reason::kSessionExists:
      return "SESSION_EXISTS";
    case Reason::kSnapshotDamaged:
      return "SNAPSHOT_DAMAGED";
    case Reason::kLayerNotFound:
      return "LAYER_NOT_FOUND";
    case Reason::kLayerNotLoaded:
      return "LAYER_NOT_LOADED";
    case Reason::kLayerLoaded:
      return "LAYER_LOADED";
    case Reason::kLayerMemory:
      return "LAYER_MEMORY";
    case Reason::kBadCheckpoint:
      return "BAD_CHECKPOINT";
  }
  return "";
}

absl::Status MakeError(absl::StatusCode code, Reason reason,
                       std::string_view message) {
  absl::Status status(code, View(message));
  status.SetPayload(kReasonUrl,
                    absl::Cord(absl::StrCat(static_cast<int>(reason))));
  return status;
}

absl::Status InvalidTensor(std::string_view field, std::string_view rule,
                           std::string_view found) {
  return FieldError(Reason::kInvalidTensor, field, rule, found);
}

absl::Status InvalidOption(std::string_view field, std::string_view rule,
                           std::string_view found) {
  return FieldError(Reason::kInvalidOption, field, rule, found);
}

absl::Status TooLarge(std::string_view what, double found_bytes,
                      double limit_bytes) {
  return MakeError(absl::StatusCode::kResourceExhausted,
                   Reason::kRequestTooLarge,
                   absl::StrFormat("%s must be at most %.0f bytes; got %.0f",
                                   View(what), limit_bytes, found_bytes));
}

absl::Status QueueFull(std::string_view message, Duration retry_after) {
  absl::Status status = MakeError(absl::StatusCode::kResourceExhausted,
                                  Reason::kQueueFull, message);
  status.SetPayload(kRetryUrl, absl::Cord(absl::StrCat(retry_after.count())));
  return status;
}

absl::Status NotServed(std::string_view field, std::string_view value) {
  absl::Status status =
      MakeError(absl::StatusCode::kUnimplemented, Reason::kNotServed,
                absl::StrCat(View(field), value.empty() ? "" : " ", View(value),
                             " is not served by this version"));
  SetField(status, field);
  return status;
}

absl::Status LengthMismatch(std::string_view field, std::string_view rule,
                            std::string_view found, int64_t found_length) {
  absl::Status status =
      MakeError(absl::StatusCode::kFailedPrecondition, Reason::kLengthMismatch,
                FieldMessage(field, rule, found));
  SetField(status, field);
  status.SetPayload(kFoundLengthUrl, absl::Cord(absl::StrCat(found_length)));
  return status;
}

Reason ReasonOf(const absl::Status& status) {
  return static_cast<Reason>(IntegerPayload(status, kReasonUrl).value_or(0));
}

std::optional<std::string> FieldOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kFieldUrl);
  if (!payload.has_value()) return std::nullopt;
  return std::string(*payload);
}

std::optional<Duration> RetryAfterOf(const absl::Status& status) {
  const auto nanoseconds = IntegerPayload(status, kRetryUrl);
  if (!nanoseconds.has_value()) return std::nullopt;
  return Duration(*nanoseconds);
}

std::optional<int64_t> FoundLengthOf(const absl::Status& status) {
  return IntegerPayload(status, kFoundLengthUrl);
}

std::string PublicMessage(const absl::Status& status) {
  constexpr size_t kMaxBytes = 1024;
  if (absl::IsInternal(status)) return "internal error";
  return std::string(status.message().substr(0, kMaxBytes));
}

}  // namespace attn
