// Flags and files that several commands read: tensors from .npy files and
// rotary embedding.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cpp/request.h"

namespace CLI {
class App;
}

namespace attn::attnctl {

// Plain values: thread-compatible.
struct RopeFlags {
  client::RopeParams params;  // Without the tables.
  std::string cos, sin;       // .npy files; empty: not given.
};

// Adds all --rope flags to `app`; `rope` must outlive the parse.
void AddRopeFlags(CLI::App& app, RopeFlags& rope);

// Nothing where no flag was given. Errors: as ReadNpy.
absl::StatusOr<std::optional<client::RopeParams>> LoadRope(
    const RopeFlags& rope);

// Reads `path` into `tensor` unless it is empty; converts to `dtype` unless
// that is kUnspecified. Errors: as ReadNpy and Tensor::ConvertTo.
absl::Status LoadTensor(const std::string& path, client::DType dtype,
                        client::Tensor& tensor);

}  // namespace attn::attnctl
