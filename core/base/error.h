// Errors as core makes them: an absl::Status whose payloads say more than the
// code does. `reason` tells apart causes that share a code, `field` is the path
// of the request field at fault, `retry_after` says when a retry may help,
// `found_length` how many tokens a session's layer really has. The server turns
// the payloads into google.rpc details (server/grpc_status.h); core itself
// knows no gRPC.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "core/base/clock.h"

namespace attn {

// The machine-readable cause. Names on the wire are those of ReasonName().
enum class Reason {
  kNone,
  kInvalidTensor,
  kInvalidOption,
  kRequestTooLarge,
  kQueueFull,
  kDeadlineUnreachable,
  kDraining,
  kNotServed,  // A part of the contract that this version does not build.
  kKvMemory,
  kQuota,
  kSessionNeverExisted,
  kSessionExpired,
  kSessionDeleted,
  kServerRestarted,
  kLengthMismatch,
  kSpecMismatch,
  kMaxLength,
  kSessionExists,
  kSnapshotDamaged,
  kLayerNotFound,  // No such model, or it has no such layer.
  kLayerNotLoaded,
  kLayerLoaded,
  kLayerMemory,
  kBadCheckpoint,
};

// "INVALID_TENSOR" and so on; "" for kNone.
std::string_view ReasonName(Reason reason);

// INVALID_ARGUMENT for a field that is a tensor. `field` is its path
// ("key.shape[3]"); the message is "<field> <rule>; got <found>".
absl::Status InvalidTensor(std::string_view field, std::string_view rule,
                           std::string_view found);

// INVALID_ARGUMENT for any other field.
absl::Status InvalidOption(std::string_view field, std::string_view rule,
                           std::string_view found);

// RESOURCE_EXHAUSTED: a message beyond its limit, both in bytes.
absl::Status TooLarge(std::string_view what, double found_bytes,
                      double limit_bytes);

// RESOURCE_EXHAUSTED / QUEUE_FULL with the time after which to retry.
absl::Status QueueFull(std::string_view message, Duration retry_after);

// UNIMPLEMENTED: `field`, or its value `value`, is in the contract but not
// served yet.
absl::Status NotServed(std::string_view field, std::string_view value = "");

// FAILED_PRECONDITION / LENGTH_MISMATCH: `field` does not fit a layer of
// `found_length` tokens; "<field> <rule>; got <found>".
absl::Status LengthMismatch(std::string_view field, std::string_view rule,
                            std::string_view found, int64_t found_length);

// A status of any code with a reason.
absl::Status MakeError(absl::StatusCode code, Reason reason,
                       std::string_view message);

// The parts of a status made above; nothing for other statuses.
Reason ReasonOf(const absl::Status& status);
std::optional<std::string> FieldOf(const absl::Status& status);
std::optional<Duration> RetryAfterOf(const absl::Status& status);
std::optional<int64_t> FoundLengthOf(const absl::Status& status);

// What a client may be told: at most 1024 characters, and nothing of what broke
// inside.
std::string PublicMessage(const absl::Status& status);

}  // namespace attn
