// Attention layers with their projections as plain structs: hidden states in,
// the layer's output out. The server has the weights. The calls are Client's
// (Forward, ListLayers, ...). proto/attn/v1/layer.proto states shapes, defaults
// and errors in full; the comments here are the short form. Plain values:
// thread-compatible; tensors are handles (tensor.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/cpp/request.h"

namespace attn::client {

// In which form the server keeps weights; the numbers are those of
// attn.v1.WeightFormat.
enum class WeightFormat : int {
  kUnspecified = 0,  // In LoadLayer: as the server is set to.
  kF32 = 1,
  kF16 = 2,
  kBf16 = 3,
  kInt8 = 4,  // One F32 scale per output channel.
};

// "f32", "f16", "bf16", "int8"; "unspecified" otherwise.
std::string_view WeightFormatName(WeightFormat format);

// One that the server has loaded.
struct Layer {
  std::string name = {};        // "<model>/<index>"
  std::string model_type = {};  // "llama", "bert", ...
  uint32_t index = 0;
  uint32_t hidden_dim = 0;
  uint32_t output_dim = 0;
  uint32_t num_q_heads = 0;
  uint32_t num_kv_heads = 0;  // Of a session for it, as head_dim.
  uint32_t head_dim = 0;
  Causal causal = Causal::kNone;  // Where a request says nothing.
  uint64_t window = 0;            // Tokens that a row sees; 0: all.
  bool has_rope = false;
  WeightFormat weights = WeightFormat::kUnspecified;
  uint64_t weight_bytes = 0;
};

struct ForwardRequest {
  std::string request_id = {};           // Echoed.
  std::string layer = {};                // Layer::name
  Tensor hidden = {};                    // [B, q_len, hidden_dim]
  Tensor context = {};                   // [B, kv_len, hidden_dim] or absent.
  Tensor attn_mask = {};                 // As AttendRequest's.
  std::vector<int64_t> kv_lengths = {};  // [B] or empty.
  std::optional<Causal> causal = {};     // Absent: the layer's own.
  std::optional<int64_t> causal_offset = {};
  std::vector<int64_t> positions = {};  // [q_len]; empty: counted.
  OutputOptions output = {};            // Its `into` is refused.
  // The projected keys and values are appended to it.
  std::optional<SessionRef> session = {};
  Priority priority = Priority::kUnspecified;
};

// As of attention, with output [B, q_len, output_dim].
using ForwardResponse = AttendResponse;
using ForwardResult = AttendResult;

// One page of ListLayers.
struct LayerPage {
  std::vector<Layer> layers = {};    // In order of their names.
  std::string next_page_token = {};  // Empty on the last page.
};

}  // namespace attn::client
