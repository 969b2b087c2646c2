// Fields of a JSON object from outside, one typed read after another, with the
// first error kept: code that reads twenty fields reads as twenty lines.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace attn {

// Thread-compatible. A field that is null counts as missing, as Hugging Face
// has it.
class ConfigFields {
 public:
  using Json = nlohmann::json;

  // `path` stands before a field's name in errors. Borrows the object.
  // REQUIRES: an object.
  ConfigFields(const Json& object, std::string path)
      : object_(object), path_(std::move(path)) {}

  bool Has(const char* name) const { return Find(name) != nullptr; }

  // An integer from `least` to 2^20, more than which no model has. Missing ones
  // are `otherwise`, or an error where there is none; after an error, `least`.
  int64_t Size(const char* name, int64_t least,
               std::optional<int64_t> otherwise = std::nullopt);
  // A number above `least`, which is finite.
  double Number(const char* name, double least,
                std::optional<double> otherwise = std::nullopt);
  bool Flag(const char* name, bool otherwise);
  std::string Text(const char* name,
                   const std::optional<std::string>& otherwise = std::nullopt);
  // Null where it is missing.
  const Json* Object(const char* name);
  const Json* List(const char* name);

  // Keeps the first error. INVALID_ARGUMENT "<path><name> <rule>; got <value>".
  void Fail(const char* name, std::string_view rule);
  const absl::Status& status() const { return status_; }

 private:
  const Json* Find(const char* name) const;
  // The field if `is_good`, else null; fails where it is missing and needed.
  template <typename IsGood>
  const Json* Take(const char* name, std::string_view rule, bool is_needed,
                   IsGood is_good);

  const Json& object_;
  const std::string path_;
  absl::Status status_;
};

}  // namespace attn
