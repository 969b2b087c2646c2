#include "core/checkpoint/config_fields.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "core/checkpoint/json_text.h"

namespace attn {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 20;

}  // namespace

const ConfigFields::Json* ConfigFields::Find(const char* name) const {
  const auto found = object_.find(name);
  return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void ConfigFields::Fail(const char* name, std::string_view rule) {
  const Json* found = Find(name);
  status_.Update(absl::InvalidArgumentError(
      absl::StrCat(path_, name, " ", std::string(rule), "; got ",
                   found == nullptr ? "nothing" : ShownJson(*found))));
}

template <typename IsGood>
const ConfigFields::Json* ConfigFields::Take(const char* name,
                                             std::string_view rule,
                                             bool is_needed, IsGood is_good) {
  const Json* found = Find(name);
  if (found != nullptr && is_good(*found)) return found;
  if (found != nullptr || is_needed) Fail(name, rule);
  return nullptr;
}

int64_t ConfigFields::Size(const char* name, int64_t least,
                           std::optional<int64_t> otherwise) {
  const Json* found = Take(
      name, absl::StrCat("must be an integer from ", least, " to ", kMaxSize),
      !otherwise.has_value(), [least](const Json& value) {
        return value.is_number_unsigned() &&
               value.get<uint64_t>() >= static_cast<uint64_t>(least) &&
               value.get<uint64_t>() <= static_cast<uint64_t>(kMaxSize);
      });
  return found == nullptr ? otherwise.value_or(least) : found->get<int64_t>();
}

double ConfigFields::Number(const char* name, double least,
                            std::optional<double> otherwise) {
  const Json* found = Take(name, absl::StrCat("must be a number above ", least),
                           !otherwise.has_value(), [least](const Json& value) {
                             return value.is_number() &&
                                    std::isfinite(value.get<double>()) &&
                                    value.get<double>() > least;
                           });
  return found == nullptr ? otherwise.value_or(least + 1)
                          : found->get<double>();
}

bool ConfigFields::Flag(const char* name, bool otherwise) {
  const Json* found =
      Take(name, "must be true or false", /*is_needed=*/false,
           [](const Json& value) { return value.is_boolean(); });
  return found == nullptr ? otherwise : found->get<bool>();
}

std::string ConfigFields::Text(const char* name,
                               const std::optional<std::string>& otherwise) {
  const Json* found = Take(name, "must be a string", !otherwise.has_value(),
                           [](const Json& value) { return value.is_string(); });
  return found == nullptr ? otherwise.value_or("") : found->get<std::string>();
}

const ConfigFields::Json* ConfigFields::Object(const char* name) {
  return Take(name, "must be an object", /*is_needed=*/false,
              [](const Json& value) { return value.is_object(); });
}

const ConfigFields::Json* ConfigFields::List(const char* name) {
  return Take(name, "must be a list", /*is_needed=*/false,
              [](const Json& value) { return value.is_array(); });
}

}  // namespace attn
