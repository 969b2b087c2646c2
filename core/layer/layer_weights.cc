#include "core/layer/layer_weights.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/tensor/conversions.h"
#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"

namespace attn {
namespace {

struct Found {
  DataType dtype = DataType::kF32;
  const std::byte* data = nullptr;

  const std::byte* At(int64_t element) const {
    return data + element * ElementBytes(dtype);
  }
};

absl::StatusOr<DataType> DtypeOf(const StoredTensor& tensor) {
  for (const DataType dtype :
       {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    if (tensor.dtype == DataTypeName(dtype)) return dtype;
  }
  return InvalidTensor(tensor.name, "must be F32, F16, BF16 or F64",
                       tensor.dtype);
}

absl::StatusOr<Found> Find(const Checkpoint& checkpoint,
                           const std::string& name, const Dims& shape) {
  if (!checkpoint.Has(name)) {
    return InvalidTensor(name, "must be in the checkpoint", "none");
  }
  ATTN_ASSIGN_OR_RETURN(const CheckpointTensor tensor, checkpoint.Find(name));
  if (tensor.stored.shape != shape) {
    return InvalidTensor(name,
                         absl::StrCat("must have the shape ", ToString(shape),
                                      ", as config.json says"),
                         ToString(tensor.stored.shape));
  }
  ATTN_ASSIGN_OR_RETURN(const DataType dtype, DtypeOf(tensor.stored));
  return Found{dtype, tensor.bytes.data()};
}

enum class Bias { kOptional, kRequired };

// As torch's Linear has it: [out_dim, in_dim].
absl::StatusOr<LinearSource> FindLinear(const Checkpoint& checkpoint,
                                        const std::string& name, int64_t in_dim,
                                        int64_t out_dim, Bias bias) {
  ATTN_ASSIGN_OR_RETURN(const Found weights,
                        Find(checkpoint, name + ".weight", {out_dim, in_dim}));
  LinearSource source{.dtype = weights.dtype,
                      .weights = weights.data,
                      .in_dim = in_dim,
                      .out_dim = out_dim,
                      .out_stride = in_dim};
  if (bias == Bias::kOptional && !checkpoint.Has(name + ".bias")) return source;
  ATTN_ASSIGN_OR_RETURN(const Found found,
                        Find(checkpoint, name + ".bias", {out_dim}));
  source.bias = found.data;
  source.bias_dtype = found.dtype;
  return source;
}

// As GPT-2's Conv1D has it: [in_dim, parts * out_dim], of which this is one.
struct Conv1d {
  std::string name;
  int64_t in_dim;
  int64_t out_dim;  // Of a part.
  int64_t parts;
};

absl::StatusOr<LinearSource> FindPart(const Checkpoint& checkpoint,
                                      const Conv1d& conv, int64_t part) {
  const int64_t channels = conv.parts * conv.out_dim;
  ATTN_ASSIGN_OR_RETURN(
      const Found weights,
      Find(checkpoint, conv.name + ".weight", {conv.in_dim, channels}));
  ATTN_ASSIGN_OR_RETURN(const Found bias,
                        Find(checkpoint, conv.name + ".bias", {channels}));
  return LinearSource{.dtype = weights.dtype,
                      .weights = weights.At(part * conv.out_dim),
                      .in_dim = conv.in_dim,
                      .out_dim = conv.out_dim,
                      .out_stride = 1,
                      .in_stride = channels,
                      .bias = bias.At(part * conv.out_dim),
                      .bias_dtype = bias.dtype};
}

absl::StatusOr<std::vector<float>> FindNorm(const Checkpoint& checkpoint,
                                            const std::string& name) {
  const int64_t n = checkpoint.config().head_dim;
  ATTN_ASSIGN_OR_RETURN(const Found found, Find(checkpoint, name, {n}));
  std::vector<double> wide(static_cast<size_t>(n));
  ConvertToF64(found.dtype, found.data, n, wide.data());
  std::vector<float> norm(wide.size());
  ConvertFromF64(wide.data(), n, DataType::kF32,
                 reinterpret_cast<std::byte*>(norm.data()));
  return norm;
}

// A model with another head than the published one's has its tensors' names
// with or without a prefix; what neither has is missed with it.
std::string NameOf(const Checkpoint& checkpoint, const char* prefix,
                   const std::string& layer, const char* first_tensor) {
  const bool has_prefix =
      checkpoint.Has(absl::StrCat(prefix, layer, first_tensor));
  const bool is_bare = checkpoint.Has(layer + first_tensor);
  return has_prefix || !is_bare ? prefix + layer : layer;
}

absl::Status FindNorms(const Checkpoint& checkpoint, const std::string& layer,
                       LayerWeights& weights) {
  const bool has_norms = checkpoint.config().model_type == "qwen3" ||
                         checkpoint.Has(layer + "q_norm.weight") ||
                         checkpoint.Has(layer + "k_norm.weight");
  if (!has_norms) return absl::OkStatus();
  ATTN_ASSIGN_OR_RETURN(weights.query_norm,
                        FindNorm(checkpoint, layer + "q_norm.weight"));
  ATTN_ASSIGN_OR_RETURN(weights.key_norm,
                        FindNorm(checkpoint, layer + "k_norm.weight"));
  return absl::OkStatus();
}

// Names of four linears behind the layer's.
struct LinearNames {
  const char* query;
  const char* key;
  const char* value;
  const char* output;
};

absl::StatusOr<LayerWeights> FindLinears(const Checkpoint& checkpoint,
                                         const std::string& layer,
                                         const LinearNames& names, Bias bias) {
  const ModelConfig& config = checkpoint.config();
  const int64_t hidden = config.hidden_dim;
  const int64_t q_dim = config.num_q_heads * config.head_dim;
  const int64_t kv_dim = config.num_kv_heads * config.head_dim;
  LayerWeights weights;
  ATTN_ASSIGN_OR_RETURN(
      weights.query,
      FindLinear(checkpoint, layer + names.query, hidden, q_dim, bias));
  ATTN_ASSIGN_OR_RETURN(weights.key, FindLinear(checkpoint, layer + names.key,
                                                hidden, kv_dim, bias));
  ATTN_ASSIGN_OR_RETURN(
      weights.value,
      FindLinear(checkpoint, layer + names.value, hidden, kv_dim, bias));
  ATTN_ASSIGN_OR_RETURN(
      weights.output,
      FindLinear(checkpoint, layer + names.output, q_dim, hidden, bias));
  return weights;
}

absl::StatusOr<LayerWeights> FindLlama(const Checkpoint& checkpoint,
                                       int64_t index) {
  const std::string layer =
      NameOf(checkpoint, "model.",
             absl::StrCat("layers.", index, ".self_attn."), "q_proj.weight");
  ATTN_ASSIGN_OR_RETURN(
      LayerWeights weights,
      FindLinears(checkpoint, layer, {"q_proj", "k_proj", "v_proj", "o_proj"},
                  Bias::kOptional));
  ATTN_RETURN_IF_ERROR(FindNorms(checkpoint, layer, weights));
  return weights;
}

absl::StatusOr<LayerWeights> FindBert(const Checkpoint& checkpoint,
                                      int64_t index) {
  const std::string layer = NameOf(
      checkpoint, "bert.", absl::StrCat("encoder.layer.", index, ".attention."),
      "self.query.weight");
  return FindLinears(checkpoint, layer,
                     {"self.query", "self.key", "self.value", "output.dense"},
                     Bias::kRequired);
}

absl::StatusOr<LayerWeights> FindGpt2(const Checkpoint& checkpoint,
                                      int64_t index) {
  const std::string layer =
      NameOf(checkpoint, "transformer.", absl::StrCat("h.", index, ".attn."),
             "c_attn.weight");
  const int64_t hidden = checkpoint.config().hidden_dim;
  const Conv1d fused{layer + "c_attn", hidden, hidden, 3};
  const Conv1d output{layer + "c_proj", hidden, hidden, 1};
  LayerWeights weights;
  ATTN_ASSIGN_OR_RETURN(weights.query, FindPart(checkpoint, fused, 0));
  ATTN_ASSIGN_OR_RETURN(weights.key, FindPart(checkpoint, fused, 1));
  ATTN_ASSIGN_OR_RETURN(weights.value, FindPart(checkpoint, fused, 2));
  ATTN_ASSIGN_OR_RETURN(weights.output, FindPart(checkpoint, output, 0));
  return weights;
}

}  // namespace

absl::StatusOr<LayerWeights> FindLayerWeights(const Checkpoint& checkpoint,
                                              int64_t index) {
  switch (checkpoint.config().family) {
    case ModelFamily::kLlama:
      return FindLlama(checkpoint, index);
    case ModelFamily::kBert:
      return FindBert(checkpoint, index);
    case ModelFamily::kGpt2:
      return FindGpt2(checkpoint, index);
  }
  return absl::InternalError("a family that is none");
}

}  // namespace attn
