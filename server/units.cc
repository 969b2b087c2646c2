#include "server/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/base/checked_math.h"
#include "server/absl_view.h"

namespace attn {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

// Largest first, as the formatters want them.
constexpr std::array<Unit, 3> kByteUnits{
    {{"GiB", int64_t{1} << 30}, {"MiB", int64_t{1} << 20}, {"KiB", 1 << 10}}};
constexpr std::array<Unit, 5> kTimeUnits{{{"h", 3'600'000'000'000},
                                          {"m", 60'000'000'000},
                                          {"s", 1'000'000'000},
                                          {"ms", 1'000'000},
                                          {"us", 1'000}}};

constexpr std::string_view kIntegerRule = "must be a whole number";
constexpr std::string_view kBytesRule =
    "must be a whole number of bytes, bare or with KiB, MiB or GiB";
constexpr std::string_view kDurationRule =
    "must be a whole number with us, ms, s, m or h";

absl::Status Broken(std::string_view rule, std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(rule), "; got \"", AbslView(text), "\""));
}

absl::Status OutOfRange(const std::string& min, const std::string& max,
                        std::string_view text) {
  return Broken(absl::StrCat("must be from ", min, " to ", max), text);
}

// The digits at the front of `text`, which loses them.
std::optional<int64_t> TakeNumber(std::string_view& text) {
  if (text.empty() || text.front() < '0' || text.front() > '9') {
    return std::nullopt;
  }
  int64_t number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

// number x unit; nothing if the text has another form or does not fit.
std::optional<int64_t> ParseScaled(std::string_view text,
                                   std::span<const Unit> units,
                                   bool needs_unit) {
  const std::optional<int64_t> number = TakeNumber(text);
  if (!number.has_value()) return std::nullopt;
  if (text.empty() && (!needs_unit || *number == 0)) return number;
  for (const Unit& unit : units) {
    if (text == unit.name) return CheckedMul(*number, unit.factor);
  }
  return std::nullopt;
}

std::string FormatScaled(int64_t value, std::span<const Unit> units,
                         const Unit& smallest) {
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0) {
      return absl::StrCat(value / unit.factor, AbslView(unit.name));
    }
  }
  return absl::StrCat(value / smallest.factor, AbslView(smallest.name));
}

}  // namespace

absl::StatusOr<int64_t> ParseInteger(std::string_view text,
                                     IntegerRange range) {
  const auto number = ParseScaled(text, {}, /*needs_unit=*/false);
  if (!number.has_value()) return Broken(kIntegerRule, text);
  if (*number < range.min || *number > range.max) {
    return OutOfRange(absl::StrCat(range.min), absl::StrCat(range.max), text);
  }
  return *number;
}

absl::StatusOr<int64_t> ParseBytes(std::string_view text, IntegerRange range) {
  const auto bytes = ParseScaled(text, kByteUnits, /*needs_unit=*/false);
  if (!bytes.has_value()) return Broken(kBytesRule, text);
  if (*bytes < range.min || *bytes > range.max) {
    return OutOfRange(FormatBytes(range.min), FormatBytes(range.max), text);
  }
  return *bytes;
}

absl::StatusOr<Duration> ParseDuration(std::string_view text,
                                       DurationRange range) {
  const auto count = ParseScaled(text, kTimeUnits, /*needs_unit=*/true);
  if (!count.has_value()) return Broken(kDurationRule, text);
  const Duration duration(*count);
  if (duration < range.min || duration > range.max) {
    return OutOfRange(FormatDuration(range.min), FormatDuration(range.max),
                      text);
  }
  return duration;
}

absl::StatusOr<double> ParseShare(std::string_view text) {
  if (text == "off") return 0.0;
  std::string_view rest = text;
  const std::optional<int64_t> percent = TakeNumber(rest);
  if (percent.has_value() && rest == "%" && *percent >= 1 && *percent <= 100) {
    return static_cast<double>(*percent) / 100;
  }
  return Broken("must be from 1% to 100%, or off", text);
}

absl::StatusOr<bool> ParseBool(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return Broken("must be true or false", text);
}

std::string FormatShare(double share) {
  return share == 0 ? "off" : absl::StrCat(std::llround(share * 100), "%");
}

std::string FormatBytes(int64_t bytes) {
  return FormatScaled(bytes, kByteUnits, {"", 1});
}

std::string FormatDuration(Duration duration) {
  if (duration == Duration::zero()) return "0s";
  return FormatScaled(duration.count(), kTimeUnits, kTimeUnits.back());
}

}  // namespace attn
