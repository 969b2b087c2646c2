// A published model in a folder: config.json beside model.safetensors, or
// beside the several files that model.safetensors.index.json lists. Mapped, not
// copied: open it, pack the weights that are wanted, let it go.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/checkpoint/model_config.h"
#include "core/checkpoint/safetensors_file.h"

namespace attn {

// A tensor of a checkpoint. Borrows its bytes from the checkpoint.
struct CheckpointTensor {
  const StoredTensor& stored;
  absl::Span<const std::byte> bytes;  // Aligned to nothing.
};

// Thread-compatible; movable.
class Checkpoint {
 public:
  // Errors, all with the file's path: those of model_config.h and
  // safetensors_file.h; INVALID_ARGUMENT for an index that is none, that names
  // a file outside the folder or a tensor that its file does not have, for more
  // than 1024 files, and for one tensor in two of them.
  static absl::StatusOr<Checkpoint> Open(const std::string& folder);

  const ModelConfig& config() const { return config_; }
  // NOT_FOUND with the folder for one that is not there.
  absl::StatusOr<CheckpointTensor> Find(std::string_view name) const;
  bool Has(std::string_view name) const;

 private:
  Checkpoint(std::string folder, ModelConfig config,
             std::vector<SafetensorsFile> files)
      : folder_(std::move(folder)),
        config_(std::move(config)),
        files_(std::move(files)) {}

  std::string folder_;
  ModelConfig config_;
  std::vector<SafetensorsFile> files_;
};

}  // namespace attn
