// model.safetensors.index.json: which file of a checkpoint has which tensor.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attn {

// 100,000 tensors take about 10 MB.
inline constexpr int64_t kMaxIndexBytes = int64_t{64} << 20;
inline constexpr int64_t kMaxCheckpointFiles = 1024;

// Names of files, by tensor.
using CheckpointIndex = std::map<std::string, std::string>;

// INVALID_ARGUMENT for JSON that is none, an index without tensors, a file that
// is no plain name of a safetensors file, and for too many of them.
absl::StatusOr<CheckpointIndex> ParseCheckpointIndex(std::string_view json);

}  // namespace attn
