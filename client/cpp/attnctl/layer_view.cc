#include "client/cpp/attnctl/layer_view.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cpp/attnctl/json_text.h"

namespace attn::attnctl {
namespace {

using client::Causal;
using client::Layer;

std::string CausalText(Causal causal) {
  switch (causal) {
    case Causal::kTopLeft:
      return "top-left";
    case Causal::kBottomRight:
      return "bottom-right";
    case Causal::kNone:
      break;
  }
  return "none";
}

std::string FormatText(const Layer& layer) {
  return std::string(client::WeightFormatName(layer.weights));
}

// "top-left, window 4096, rope"; what is off is left out, but for "none".
std::string StructureText(const Layer& layer) {
  std::string text = CausalText(layer.causal);
  if (layer.window > 0) {
    absl::StrAppend(&text, ", window ", layer.window);
  }
  if (layer.has_rope) {
    absl::StrAppend(&text, ", rope");
  }
  return text;
}

std::string LayerJson(const Layer& layer) {
  return absl::StrFormat(
      "{\"name\": %s, \"model_type\": %s, \"index\": %d, \"hidden_dim\": %d, "
      "\"output_dim\": %d, \"num_q_heads\": %d, \"num_kv_heads\": %d, "
      "\"head_dim\": %d, \"causal\": \"%s\", \"window\": %d, \"has_rope\": %s, "
      "\"weights\": \"%s\", \"weight_bytes\": %d}",
      JsonString(layer.name), JsonString(layer.model_type), layer.index,
      layer.hidden_dim, layer.output_dim, layer.num_q_heads, layer.num_kv_heads,
      layer.head_dim, CausalText(layer.causal), layer.window,
      layer.has_rope ? "true" : "false", FormatText(layer), layer.weight_bytes);
}

}  // namespace

std::string RenderLayer(const Layer& layer) {
  return absl::StrCat(
      "layer          ", layer.name,                                         //
      "\nmodel type     ", layer.model_type, ", layer ", layer.index,        //
      "\nhidden dim     ", layer.hidden_dim, ", output ", layer.output_dim,  //
      "\nheads          ", layer.num_q_heads, ", of keys and values ",       //
      layer.num_kv_heads, ", head dim ", layer.head_dim,                     //
      "\ncausal         ", StructureText(layer),                             //
      "\nweights        ", FormatText(layer), ", ", layer.weight_bytes,      //
      " bytes\n");
}

std::string RenderLayers(const std::vector<Layer>& layers) {
  if (layers.empty()) {
    return "no layers\n";
  }
  size_t width = sizeof("layer") - 1;
  for (const Layer& layer : layers) {
    width = std::max(width, layer.name.size());
  }
  constexpr char kRow[] = "%-*s %-10s %10s %8s %8s %8s %-7s %13s %s\n";
  std::string text =
      absl::StrFormat(kRow, width, "layer", "type", "hidden", "q heads",
                      "kv heads", "head dim", "weights", "bytes", "causal");
  for (const Layer& layer : layers) {
    absl::StrAppendFormat(
        &text, kRow, width, layer.name, layer.model_type,
        absl::StrCat(layer.hidden_dim), absl::StrCat(layer.num_q_heads),
        absl::StrCat(layer.num_kv_heads), absl::StrCat(layer.head_dim),
        FormatText(layer), absl::StrCat(layer.weight_bytes),
        StructureText(layer));
  }
  return text;
}

std::string RenderLayerJson(const Layer& layer) {
  return LayerJson(layer) + "\n";
}

std::string RenderLayersJson(const std::vector<Layer>& layers) {
  return absl::StrCat("{\"layers\": [\n",
                      absl::StrJoin(layers, ",\n",
                                    [](std::string* out, const Layer& layer) {
                                      out->append(LayerJson(layer));
                                    }),
                      "\n]}\n");
}

}  // namespace attn::attnctl
