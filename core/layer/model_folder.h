// The folder of --layers: a checkpoint, or a folder of checkpoints. A model's
// name is its folder's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace attn {

struct Model {
  std::string name;
  std::string path;
};

// By name; folders without a config.json, or that may not be searched, are no
// models. FAILED_PRECONDITION / BAD_CHECKPOINT with the path: a folder that
// cannot be read, a model whose name is none (layer_name.h), or one that is a
// link out of the folder.
absl::StatusOr<std::vector<Model>> FindModels(const std::string& folder);

// NOT_FOUND / LAYER_NOT_FOUND for a model that is not there; BAD_CHECKPOINT
// for one that may not be searched; else as FindModels. REQUIRES:
// IsModelName(name).
absl::StatusOr<Model> FindModel(const std::string& folder,
                                std::string_view name);

// The same error with BAD_CHECKPOINT.
absl::Status BadCheckpoint(const std::string& path, const absl::Status& status);

}  // namespace attn
