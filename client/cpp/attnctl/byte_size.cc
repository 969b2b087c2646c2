#include "client/cpp/attnctl/byte_size.h"

#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace attn::attnctl {
namespace {

constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
constexpr int64_t kStep = 1024;

}  // namespace

absl::StatusOr<int64_t> ParseByteSize(std::string_view text) {
  std::string_view digits = text;
  int64_t factor = 1;
  int64_t unit_bytes = 1;
  for (const std::string_view unit : kUnits) {
    unit_bytes *= kStep;
    if (digits.size() > unit.size() &&
        digits.substr(digits.size() - unit.size()) == unit) {
      factor = unit_bytes;
      digits.remove_suffix(unit.size());
      break;
    }
  }
  int64_t number = 0;
  const bool is_plain =
      digits.find_first_not_of("0123456789") == std::string_view::npos;
  if (!is_plain || !absl::SimpleAtoi(std::string(digits), &number) ||
      number > std::numeric_limits<int64_t>::max() / factor) {
    return absl::InvalidArgumentError(
        absl::StrCat("must be a size such as 512MiB, 16GiB; got \"",
                     std::string(text), "\""));
  }
  return number * factor;
}

std::string BytesText(double bytes) {
  const char* unit = "bytes";
  for (const char* next : kUnits) {
    if (bytes < static_cast<double>(kStep)) {
      break;
    }
    bytes /= static_cast<double>(kStep);
    unit = next;
  }
  return absl::StrFormat("%.4g %s", bytes, unit);
}

std::string SizeFlagText(int64_t bytes) {
  return bytes % kGibibyte == 0 ? absl::StrCat(bytes / kGibibyte, "GiB")
                                : absl::StrCat(bytes / kMebibyte, "MiB");
}

}  // namespace attn::attnctl
