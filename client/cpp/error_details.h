// What an error says beyond its code and message. The server's google.rpc
// details become payloads of the absl::Status under their type URLs; the
// functions here read them back. Pure functions: thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace attn::client {

// One request field at fault.
struct FieldViolation {
  std::string field;        // "key.shape[3]"
  std::string description;  // The rule and the found values.
};

// ErrorInfo.reason ("INVALID_TENSOR", "QUEUE_FULL", ...); "" where the error
// carries none, as those of gRPC itself do.
std::string ErrorReason(const absl::Status& status);

// ErrorInfo.metadata, e.g. found_length of LENGTH_MISMATCH.
std::map<std::string, std::string> ErrorMetadata(const absl::Status& status);

// LENGTH_MISMATCH: the length at which the server found the layer. Nothing for
// other errors.
std::optional<uint64_t> FoundLength(const absl::Status& status);

// BadRequest's violations, in the server's order.
std::vector<FieldViolation> FieldViolations(const absl::Status& status);

// RetryInfo: the wait after which a retry may help.
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

// An error for humans: "INVALID_ARGUMENT (INVALID_TENSOR): message", then one
// line for each field violation that the message does not hold, then the
// delay and the found length.
std::string DescribeError(const absl::Status& status);

// A status from a gRPC code, message and the serialised google.rpc.Status of
// its trailer (may be empty or damaged: then there are no payloads). Codes
// outside 0..16 become UNKNOWN.
absl::Status MakeStatus(int code, std::string_view message,
                        std::string_view serialized_details);

}  // namespace attn::client
