#include "tests/support/checkpoint_writer.h"

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/check.h"
#include "core/tensor/conversions.h"
#include "core/tensor/shape.h"
#include "tests/support/random.h"
#include "tests/support/rounding.h"
#include "tests/support/safetensors_case.h"

namespace attn::test {
namespace {

using Json = nlohmann::json;
using Values = std::vector<double>;

struct NamedTensor {
  std::string name;
  Dims shape;
  Values values;
};

// All numbers of a checkpoint, as its dtype has them.
class Numbers {
 public:
  Numbers(DataType dtype, uint64_t seed) : dtype_(dtype), random_(seed) {}

  Values Gaussian(int64_t n, double mean, double deviation) {
    Values values;
    for (int64_t i = 0; i < n; ++i) {
      values.push_back(
          RoundedTo(dtype_, mean + deviation * random_.Gaussian()));
    }
    return values;
  }
  WrittenLinear Linear(int64_t in_dim, int64_t out_dim, bool has_bias) {
    WrittenLinear linear{.in_dim = in_dim, .out_dim = out_dim};
    linear.weights = Gaussian(in_dim * out_dim, 0,
                              1 / std::sqrt(static_cast<double>(in_dim)));
    if (has_bias) linear.bias = Gaussian(out_dim, 0, 0.5);
    return linear;
  }

 private:
  const DataType dtype_;
  Random random_;
};

// What a checkpoint's size follows from, whatever its family says.
struct Sizes {
  explicit Sizes(const CheckpointOptions& o)
      : num_kv_heads(o.is_llama_like() ? o.num_kv_heads : o.num_q_heads),
        head_dim(o.is_llama_like() ? o.head_dim
                                   : o.hidden_dim / o.num_q_heads) {}
  int64_t num_kv_heads;
  int64_t head_dim;
};

WrittenLayer MakeLayer(const CheckpointOptions& o, Numbers& numbers) {
  const Sizes sizes(o);
  const int64_t q_dim = o.num_q_heads * sizes.head_dim;
  const int64_t kv_dim = sizes.num_kv_heads * sizes.head_dim;
  const bool has_biases = o.model_type == "llama"
                              ? o.has_biases
                              : o.model_type == "qwen2" || !o.is_llama_like();
  WrittenLayer layer;
  layer.query = numbers.Linear(o.hidden_dim, q_dim, has_biases);
  layer.key = numbers.Linear(o.hidden_dim, kv_dim, has_biases);
  layer.value = numbers.Linear(o.hidden_dim, kv_dim, has_biases);
  layer.output = numbers.Linear(q_dim, o.hidden_dim,
                                has_biases && o.model_type != "qwen2");
  if (o.model_type == "qwen3") {
    layer.query_norm = numbers.Gaussian(sizes.head_dim, 1, 0.3);
    layer.key_norm = numbers.Gaussian(sizes.head_dim, 1, 0.3);
  }
  return layer;
}

using Tensors = std::vector<NamedTensor>;

// As torch's Linear has it.
void AddLinear(const std::string& name, const WrittenLinear& linear,
               Tensors& tensors) {
  tensors.push_back(
      {name + ".weight", {linear.out_dim, linear.in_dim}, linear.weights});
  if (linear.bias.empty()) return;
  tensors.push_back({name + ".bias", {linear.out_dim}, linear.bias});
}

// As GPT-2's Conv1D has it, transposed; several linears side by side.
void AddConv1d(const std::string& name,
               const std::vector<const WrittenLinear*>& parts,
               Tensors& tensors) {
  const int64_t in_dim = parts.front()->in_dim;
  Values weights, bias;
  for (int64_t i = 0; i < in_dim; ++i) {
    for (const WrittenLinear* part : parts) {
      for (int64_t o = 0; o < part->out_dim; ++o) {
        weights.push_back(part->weights[static_cast<size_t>(o * in_dim + i)]);
      }
    }
  }
  for (const WrittenLinear* part : parts) {
    bias.insert(bias.end(), part->bias.begin(), part->bias.end());
  }
  const auto out_dim = static_cast<int64_t>(bias.size());
  tensors.push_back({name + ".weight", {in_dim, out_dim}, std::move(weights)});
  tensors.push_back({name + ".bias", {out_dim}, std::move(bias)});
}

void AddLlama(const std::string& prefix, const WrittenLayer& layer,
              Tensors& tensors) {
  const std::string name = prefix + ".self_attn.";
  AddLinear(name + "q_proj", layer.query, tensors);
  AddLinear(name + "k_proj", layer.key, tensors);
  AddLinear(name + "v_proj", layer.value, tensors);
  AddLinear(name + "o_proj", layer.output, tensors);
  if (layer.query_norm.empty()) return;
  const auto dim = static_cast<int64_t>(layer.query_norm.size());
  tensors.push_back({name + "q_norm.weight", {dim}, layer.query_norm});
  tensors.push_back({name + "k_norm.weight", {dim}, layer.key_norm});
}

void AddBert(const std::string& prefix, const WrittenLayer& layer,
             Tensors& tensors) {
  const std::string name = prefix + ".attention.";
  AddLinear(name + "self.query", layer.query, tensors);
  AddLinear(name + "self.key", layer.key, tensors);
  AddLinear(name + "self.value", layer.value, tensors);
  AddLinear(name + "output.dense", layer.output, tensors);
}

void AddGpt2(const std::string& prefix, const WrittenLayer& layer,
             Tensors& tensors) {
  AddConv1d(prefix + ".attn.c_attn", {&layer.query, &layer.key, &layer.value},
            tensors);
  AddConv1d(prefix + ".attn.c_proj", {&layer.output}, tensors);
}

void AddLayer(const CheckpointOptions& o, int64_t index,
              const WrittenLayer& layer, Tensors& tensors) {
  const bool other = o.has_other_prefix;
  if (o.model_type == "bert") {
    AddBert(absl::StrCat(other ? "bert." : "", "encoder.layer.", index), layer,
            tensors);
  } else if (o.model_type == "gpt2") {
    AddGpt2(absl::StrCat(other ? "transformer." : "", "h.", index), layer,
            tensors);
  } else {
    AddLlama(absl::StrCat(other ? "" : "model.", "layers.", index), layer,
             tensors);
  }
}

const char* ScalingName(RopeScaling scaling) {
  switch (scaling) {
    case RopeScaling::kLinear:
      return "linear";
    case RopeScaling::kLlama3:
      return "llama3";
    case RopeScaling::kYarn:
      return "yarn";
    case RopeScaling::kNone:
      break;
  }
  return "default";
}

Json ScalingOf(const RopeConfig& rope) {
  Json scaling{{"rope_type", ScalingName(rope.scaling)}};
  if (rope.scaling == RopeScaling::kNone) return scaling;
  scaling["factor"] = rope.factor;
  if (rope.original_max_position > 0) {
    scaling["original_max_position_embeddings"] = rope.original_max_position;
  }
  if (rope.scaling == RopeScaling::kLlama3) {
    scaling["low_freq_factor"] = rope.low_freq_factor;
    scaling["high_freq_factor"] = rope.high_freq_factor;
  }
  if (rope.scaling == RopeScaling::kYarn) {
    scaling["beta_fast"] = rope.beta_fast;
    scaling["beta_slow"] = rope.beta_slow;
    scaling["truncate"] = rope.truncate;
    if (rope.attention_factor.has_value()) {
      scaling["attention_factor"] = *rope.attention_factor;
    }
  }
  return scaling;
}

void AddRope(const CheckpointOptions& o, Json& config) {
  Json scaling = ScalingOf(o.rope);
  Json& theta_and_part = o.has_rope_parameters ? scaling : config;
  theta_and_part["rope_theta"] = o.rope.theta;
  if (o.rope.rotary_dim > 0) {
    theta_and_part["partial_rotary_factor"] =
        static_cast<double>(o.rope.rotary_dim) /
        static_cast<double>(o.head_dim);
  }
  if (o.has_rope_parameters) {
    config["rope_parameters"] = scaling;
  } else if (o.rope.scaling == RopeScaling::kNone) {
    config["rope_scaling"] = nullptr;
  } else {
    config["rope_scaling"] = scaling;
  }
}

void AddWindow(const CheckpointOptions& o, Json& config) {
  if (o.model_type == "llama") return;
  config["sliding_window"] = o.window > 0 ? Json(o.window) : Json(nullptr);
  if (o.model_type == "mistral") return;
  config["use_sliding_window"] = o.window > 0;
  config["max_window_layers"] = o.max_window_layers;
}

Json LlamaConfig(const CheckpointOptions& o) {
  Json config{{"hidden_size", o.hidden_dim},
              {"num_hidden_layers", o.num_layers},
              {"num_attention_heads", o.num_q_heads},
              {"num_key_value_heads", o.num_kv_heads},
              {"head_dim", o.head_dim},
              {"attention_bias", o.has_biases},
              {"rms_norm_eps", o.norm_epsilon},
              {"max_position_embeddings", 4096}};
  AddRope(o, config);
  AddWindow(o, config);
  return config;
}

Json ConfigOf(const CheckpointOptions& o) {
  Json config;
  if (o.model_type == "bert") {
    config = {{"hidden_size", o.hidden_dim},
              {"num_hidden_layers", o.num_layers},
              {"num_attention_heads", o.num_q_heads},
              {"position_embedding_type", "absolute"}};
  } else if (o.model_type == "gpt2") {
    config = {{"n_embd", o.hidden_dim},
              {"n_layer", o.num_layers},
              {"n_head", o.num_q_heads},
              {"scale_attn_weights", o.scales_by_head_dim},
              {"scale_attn_by_inverse_layer_idx", o.scales_by_layer}};
  } else {
    config = LlamaConfig(o);
  }
  config["model_type"] = o.model_type;
  // What the server has no use for is in published files, too.
  config["architectures"] = {"TinyForTests"};
  config["vocab_size"] = 7;
  return config;
}

const char* SafetensorsName(DataType dtype) {
  if (dtype == DataType::kF64) return "F64";
  if (dtype == DataType::kF16) return "F16";
  return dtype == DataType::kBF16 ? "BF16" : "F32";
}

std::string Encoded(DataType dtype, const Values& values) {
  const auto n = static_cast<int64_t>(values.size());
  std::string bytes(static_cast<size_t>(n * ElementBytes(dtype)), '\0');
  ConvertFromF64(values.data(), n, dtype,
                 reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

std::string FileOf(DataType dtype,
                   const std::vector<const NamedTensor*>& tensors) {
  Json header{{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const NamedTensor* tensor : tensors) {
    const size_t begin = data.size();
    data += Encoded(dtype, tensor->values);
    header[tensor->name] = {
        {"dtype", SafetensorsName(dtype)},
        {"shape",
         std::vector<int64_t>(tensor->shape.begin(), tensor->shape.end())},
        {"data_offsets", {begin, data.size()}}};
  }
  return Safetensors(header.dump(), data);
}

void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  ATTN_CHECK(file.good());
}

void WriteTensors(const CheckpointOptions& o, const std::string& folder,
                  const Tensors& tensors) {
  std::map<std::string, std::vector<const NamedTensor*>> files;
  Json weight_map;
  int64_t next = 0;
  for (const NamedTensor& tensor : tensors) {
    const std::string file =
        o.num_files == 1
            ? "model.safetensors"
            : absl::StrFormat("model-%05d-of-%05d.safetensors",
                              next++ % o.num_files + 1, o.num_files);
    files[file].push_back(&tensor);
    weight_map[tensor.name] = file;
  }
  for (const auto& [file, of_file] : files) {
    WriteFile(absl::StrCat(folder, "/", file), FileOf(o.dtype, of_file));
  }
  if (o.num_files == 1) return;
  WriteFile(absl::StrCat(folder, "/model.safetensors.index.json"),
            Json{{"metadata", {{"total_size", 1}}}, {"weight_map", weight_map}}
                .dump());
}

}  // namespace

std::vector<WrittenLayer> WriteCheckpoint(const CheckpointOptions& options,
                                          const std::string& folder) {
  std::filesystem::create_directories(folder);
  WriteFile(folder + "/config.json", ConfigOf(options).dump(1));
  Numbers numbers(options.dtype, options.seed);
  // As in published files, the layers are not all that there is.
  Tensors tensors = {{"embeddings.weight", {7, 3}, Values(21, 0.5)}};
  std::vector<WrittenLayer> layers;
  for (int64_t i = 0; i < options.num_layers; ++i) {
    layers.push_back(MakeLayer(options, numbers));
    AddLayer(options, i, layers.back(), tensors);
  }
  WriteTensors(options, folder, tensors);
  return layers;
}

}  // namespace attn::test
