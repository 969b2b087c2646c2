// Sizes, times and whole numbers as people write them in flags, environment
// and config file: "256MiB", "500ms", "8". Strict: no spaces, signs, fractions
// or unknown units, so that a slip of the pen is an error and not a surprise.
// What Format... writes, Parse... reads back to the same value.
//
// Every error is INVALID_ARGUMENT whose message starts with the rule ("must be
// ...; got "12kb""), so that the caller can put the setting's name before it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/base/clock.h"

namespace attn {

// Both ends belong to the range.
struct IntegerRange {
  int64_t min = 0;
  int64_t max = 0;
};

struct DurationRange {
  Duration min{};
  Duration max{};
};

// A decimal whole number within `range`.
absl::StatusOr<int64_t> ParseInteger(std::string_view text, IntegerRange range);

// Bytes, bare or with KiB, MiB or GiB, within `range` (in bytes).
absl::StatusOr<int64_t> ParseBytes(std::string_view text, IntegerRange range);

// A time with us, ms, s, m or h (a bare 0 needs no unit), within `range`.
absl::StatusOr<Duration> ParseDuration(std::string_view text,
                                       DurationRange range);

// "true" or "false".
absl::StatusOr<bool> ParseBool(std::string_view text);

// A whole number of percent from 1 to 100, "50%", as a fraction; 0 for "off".
absl::StatusOr<double> ParseShare(std::string_view text);
std::string FormatShare(double share);

// With the largest unit that leaves a whole number: 1536 -> "1536",
// 2048 -> "2KiB".
std::string FormatBytes(int64_t bytes);

// Likewise; parts of a microsecond are dropped. 90 s -> "90s", 0 -> "0s".
std::string FormatDuration(Duration duration);

}  // namespace attn
