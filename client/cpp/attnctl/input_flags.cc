#include "client/cpp/attnctl/input_flags.h"

#include <utility>

#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/npy.h"

namespace attn::attnctl {

using client::DType;
using client::Tensor;

namespace {

bool AsksForRope(const client::RopeParams& rope) {
  return rope.base != 0 || rope.rotary_dim != 0 || rope.interleaved ||
         rope.scaling_factor != 0 || rope.cos.present() || rope.sin.present() ||
         !rope.positions.empty() || !rope.key_positions.empty();
}

}  // namespace

void AddRopeFlags(CLI::App& app, RopeFlags& flags) {
  client::RopeParams& rope = flags.params;
  app.add_option("--rope-base", rope.base, "Base of the frequencies: 10000");
  app.add_option("--rope-dim,--rotary-dim", rope.rotary_dim,
                 "Leading channels that rotate; 0 = head_dim");
  app.add_flag("--rope-interleaved", rope.interleaved,
               "Pairs (0,1), (2,3), ... instead of halves");
  app.add_option("--rope-scaling-factor,--rope-scaling", rope.scaling_factor,
                 "Divides the position; 0 = 1");
  app.add_option("--rope-cos", flags.cos, "Table of cosines, .npy");
  app.add_option("--rope-sin", flags.sin, "Table of sines, .npy");
  AddListFlag(app, "--rope-positions,--positions", rope.positions,
              "Position of each query row");
  AddListFlag(app, "--rope-key-positions,--key-positions", rope.key_positions,
              "Position of each key sent");
}

absl::StatusOr<std::optional<client::RopeParams>> LoadRope(
    const RopeFlags& flags) {
  client::RopeParams rope = flags.params;
  absl::Status status = LoadTensor(flags.cos, DType::kUnspecified, rope.cos);
  status.Update(LoadTensor(flags.sin, DType::kUnspecified, rope.sin));
  if (!status.ok()) {
    return status;
  }
  return AsksForRope(rope) ? std::optional(std::move(rope)) : std::nullopt;
}

absl::Status LoadTensor(const std::string& path, DType dtype, Tensor& tensor) {
  if (path.empty()) {
    return absl::OkStatus();
  }
  absl::StatusOr<Tensor> read = ReadNpy(path);
  if (read.ok() && dtype != DType::kUnspecified && read->dtype() != dtype) {
    read = read->ConvertTo(dtype);
  }
  if (!read.ok()) {
    return read.status();
  }
  tensor = *std::move(read);
  return absl::OkStatus();
}

}  // namespace attn::attnctl
