#include "core/checkpoint/checkpoint_index.h"

#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/checkpoint/json_text.h"

namespace attn {
namespace {

using Json = nlohmann::json;

// A path would lead out of the folder.
bool IsPlainName(const std::string& name) {
  return absl::EndsWith(name, ".safetensors") &&
         name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

}  // namespace

absl::StatusOr<CheckpointIndex> ParseCheckpointIndex(std::string_view json) {
  ATTN_ASSIGN_OR_RETURN(const Json object, ParseJsonObject(json));
  const auto map = object.find("weight_map");
  if (map == object.end() || !map->is_object() || map->empty()) {
    return absl::InvalidArgumentError(
        "weight_map must be an object of names of files");
  }
  CheckpointIndex index;
  std::set<std::string> files;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !IsPlainName(file.get<std::string>())) {
      return absl::InvalidArgumentError(
          absl::StrCat("weight_map.", ShownJson(tensor),
                       " must name a safetensors file of the folder; got ",
                       ShownJson(file)));
    }
    files.insert(file.get<std::string>());
    index.emplace(tensor, file.get<std::string>());
  }
  if (std::ssize(files) <= kMaxCheckpointFiles) return index;
  return absl::InvalidArgumentError(
      absl::StrCat("weight_map must name at most ", kMaxCheckpointFiles,
                   " files; got ", files.size()));
}

}  // namespace attn
