// One InferParameter as the type that an option wants. Clients choose the
// protobuf type by the type of their own variable, so every type that holds the
// value exactly is taken: a number also as a string, an integer as any integer.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "inference/grpc_service.pb.h"

namespace attn {

// What a string stands for.
using EnumName = std::pair<std::string_view, int32_t>;

// Each of these: INVALID_ARGUMENT for "parameters.<name>" where the value is
// none such.
absl::StatusOr<bool> ToBool(std::string_view name,
                            const inference::InferParameter& value);
absl::StatusOr<int64_t> ToInt64(std::string_view name,
                                const inference::InferParameter& value);
// From 0 to `max`.
absl::StatusOr<int64_t> ToCount(std::string_view name,
                                const inference::InferParameter& value,
                                int64_t max = INT64_MAX);
absl::StatusOr<float> ToFloat(std::string_view name,
                              const inference::InferParameter& value);
// One number, or a string of them with commas in between ("0.5, 0.25"): the
// protocol has no lists.
absl::StatusOr<std::vector<float>> ToFloats(
    std::string_view name, const inference::InferParameter& value);
absl::StatusOr<std::vector<int64_t>> ToInt64s(
    std::string_view name, const inference::InferParameter& value);
// One of the names, in upper or lower case.
absl::StatusOr<int32_t> ToEnum(std::string_view name,
                               const inference::InferParameter& value,
                               std::initializer_list<EnumName> names);
// A string, or an integer in decimal.
absl::StatusOr<std::string> ToId(std::string_view name,
                                 const inference::InferParameter& value);

// INVALID_ARGUMENT for parameters.<name>.
absl::Status InvalidParameter(std::string_view name, std::string_view rule,
                              std::string_view found);

// The value as an error shows it: at most 64 bytes of it, printable.
std::string Shown(const inference::InferParameter& value);

}  // namespace attn
