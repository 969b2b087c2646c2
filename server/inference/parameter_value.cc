#include "server/inference/parameter_value.h"

#include <limits>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/inference/shown_text.h"

namespace attn {

using inference::InferParameter;

namespace {

// What is beyond every float becomes infinite, for validation to refuse.
float Narrowed(double value) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (value > kLargest) return kInfinity;
  if (value < -kLargest) return -kInfinity;
  return static_cast<float>(value);
}

// The numbers that `parse` finds between the commas; INVALID_ARGUMENT with
// `rule` where it finds none.
template <typename Number>
absl::StatusOr<std::vector<Number>> ToNumbers(
    std::string_view name, const InferParameter& value, std::string_view rule,
    bool (*parse)(absl::string_view, Number*)) {
  std::vector<Number> numbers;
  for (const absl::string_view part :
       absl::StrSplit(value.string_param(), ',')) {
    Number number{};
    if (!parse(part, &number))
      return InvalidParameter(name, rule, Shown(value));
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

absl::Status InvalidParameter(std::string_view name, std::string_view rule,
                              std::string_view found) {
  return InvalidOption(absl::StrCat("parameters.", std::string(name)), rule,
                       found);
}

std::string Shown(const InferParameter& value) {
  switch (value.parameter_choice_case()) {
    case InferParameter::kBoolParam:
      return value.bool_param() ? "true" : "false";
    case InferParameter::kInt64Param:
      return absl::StrCat(value.int64_param());
    case InferParameter::kUint64Param:
      return absl::StrCat(value.uint64_param());
    case InferParameter::kDoubleParam:
      return absl::StrCat(value.double_param());
    case InferParameter::kStringParam:
      return ShownText(value.string_param());
    case InferParameter::PARAMETER_CHOICE_NOT_SET:
      break;
  }
  return "nothing";
}

absl::StatusOr<bool> ToBool(std::string_view name,
                            const InferParameter& value) {
  if (value.has_bool_param()) return value.bool_param();
  if (value.string_param() == "true") return true;
  if (value.string_param() == "false") return false;
  return InvalidParameter(name, "must be a bool", Shown(value));
}

absl::StatusOr<int64_t> ToInt64(std::string_view name,
                                const InferParameter& value) {
  int64_t number = 0;
  if (value.has_int64_param()) return value.int64_param();
  if (value.has_uint64_param() &&
      value.uint64_param() <= uint64_t{std::numeric_limits<int64_t>::max()}) {
    return static_cast<int64_t>(value.uint64_param());
  }
  if (value.has_string_param() &&
      absl::SimpleAtoi(value.string_param(), &number)) {
    return number;
  }
  return InvalidParameter(name, "must be an integer below 2^63", Shown(value));
}

absl::StatusOr<int64_t> ToCount(std::string_view name,
                                const InferParameter& value, int64_t max) {
  absl::StatusOr<int64_t> number = ToInt64(name, value);
  if (!number.ok() || (*number >= 0 && *number <= max)) return number;
  return InvalidParameter(name, absl::StrCat("must be from 0 to ", max),
                          absl::StrCat(*number));
}

absl::StatusOr<float> ToFloat(std::string_view name,
                              const InferParameter& value) {
  float number = 0;
  switch (value.parameter_choice_case()) {
    case InferParameter::kDoubleParam:
      return Narrowed(value.double_param());
    case InferParameter::kInt64Param:
      return static_cast<float>(value.int64_param());
    case InferParameter::kUint64Param:
      return static_cast<float>(value.uint64_param());
    case InferParameter::kStringParam:
      if (absl::SimpleAtof(value.string_param(), &number)) return number;
      break;
    default:
      break;
  }
  return InvalidParameter(name, "must be a number", Shown(value));
}

absl::StatusOr<std::vector<float>> ToFloats(std::string_view name,
                                            const InferParameter& value) {
  if (value.has_string_param()) {
    return ToNumbers<float>(name, value, "must be numbers with commas between",
                            [](absl::string_view text, float* number) {
                              return absl::SimpleAtof(text, number);
                            });
  }
  ATTN_ASSIGN_OR_RETURN(const float number, ToFloat(name, value));
  return std::vector<float>{number};
}

absl::StatusOr<std::vector<int64_t>> ToInt64s(std::string_view name,
                                              const InferParameter& value) {
  if (value.has_string_param()) {
    return ToNumbers<int64_t>(name, value,
                              "must be integers with commas between",
                              [](absl::string_view text, int64_t* number) {
                                return absl::SimpleAtoi(text, number);
                              });
  }
  ATTN_ASSIGN_OR_RETURN(const int64_t number, ToInt64(name, value));
  return std::vector<int64_t>{number};
}

absl::StatusOr<int32_t> ToEnum(std::string_view name,
                               const InferParameter& value,
                               std::initializer_list<EnumName> names) {
  const std::string given = absl::AsciiStrToLower(value.string_param());
  std::vector<std::string> known;
  for (const auto& [known_name, number] : names) {
    if (value.has_string_param() && given == known_name) return number;
    known.emplace_back(known_name);
  }
  return InvalidParameter(
      name, absl::StrCat("must be one of ", absl::StrJoin(known, ", ")),
      Shown(value));
}

absl::StatusOr<std::string> ToId(std::string_view name,
                                 const InferParameter& value) {
  if (value.has_string_param()) return value.string_param();
  if (value.has_int64_param() || value.has_uint64_param()) return Shown(value);
  return InvalidParameter(name, "must be an integer or a string", Shown(value));
}

}  // namespace attn
