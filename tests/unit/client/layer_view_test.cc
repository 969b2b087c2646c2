#include "client/cpp/attnctl/layer_view.h"

#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

client::Layer Full() {
  return {.name = "llama-tiny/3",
          .model_type = "llama",
          .index = 3,
          .hidden_dim = 64,
          .output_dim = 48,
          .num_q_heads = 8,
          .num_kv_heads = 2,
          .head_dim = 16,
          .causal = client::Causal::kTopLeft,
          .window = 128,
          .has_rope = true,
          .weights = client::WeightFormat::kBf16,
          .weight_bytes = 20480};
}

client::Layer Plain() {
  return {.name = "b/0",
          .model_type = "bert",
          .hidden_dim = 8,
          .output_dim = 8,
          .num_q_heads = 2,
          .num_kv_heads = 2,
          .head_dim = 4,
          .weights = client::WeightFormat::kF32,
          .weight_bytes = 1152};
}

TEST(LayerViewTest, OneLayerIsAFactALine) {
  EXPECT_EQ(RenderLayer(Full()),
            "layer          llama-tiny/3\n"
            "model type     llama, layer 3\n"
            "hidden dim     64, output 48\n"
            "heads          8, of keys and values 2, head dim 16\n"
            "causal         top-left, window 128, rope\n"
            "weights        bf16, 20480 bytes\n");
}

TEST(LayerViewTest, TableHasALayerALine) {
  EXPECT_EQ(RenderLayers({Full(), Plain()}),
            "layer        type           hidden  q heads kv heads head dim "
            "weights         bytes causal\n"
            "llama-tiny/3 llama              64        8        2       16 "
            "bf16            20480 top-left, window 128, rope\n"
            "b/0          bert                8        2        2        4 "
            "f32              1152 none\n");
  EXPECT_EQ(RenderLayers({}), "no layers\n");
}

TEST(LayerViewTest, JsonHasEveryField) {
  const std::string full =
      "{\"name\": \"llama-tiny/3\", \"model_type\": \"llama\", \"index\": 3, "
      "\"hidden_dim\": 64, \"output_dim\": 48, \"num_q_heads\": 8, "
      "\"num_kv_heads\": 2, \"head_dim\": 16, \"causal\": \"top-left\", "
      "\"window\": 128, \"has_rope\": true, \"weights\": \"bf16\", "
      "\"weight_bytes\": 20480}";
  EXPECT_EQ(RenderLayerJson(Full()), full + "\n");
  EXPECT_EQ(RenderLayersJson({Full()}), "{\"layers\": [\n" + full + "\n]}\n");
  EXPECT_EQ(RenderLayersJson({}), "{\"layers\": [\n\n]}\n");
}

}  // namespace
}  // namespace attn::attnctl
