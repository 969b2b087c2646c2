#include "server/inference/model_description.h"

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/inference/datatype.h"

namespace attn::test {
namespace {

using testing::ElementsAre;

const ModelLimits kLimits{.max_queue_tasks = 17,
                          .max_batch_delay = std::chrono::milliseconds(2),
                          .max_sessions = 5,
                          .session_idle_ttl = std::chrono::seconds(3)};

ServedModel Fixed(InferModel model) {
  return *FindServed(LayerStore(LayerStoreOptions{}), InferModelName(model),
                     "1");
}

ServedModel TinyLayer() {
  auto layer = std::make_shared<AttentionLayer>();
  layer->hidden_dim = 6;
  layer->output_dim = 5;
  layer->num_q_heads = 3;
  return {.model = InferModel::kLayer,
          .name = "layer:tiny/0",
          .layer = std::move(layer)};
}

// What perf_analyzer insists on.
TEST(ModelDescriptionTest, ConfigurationAndMetadataAgree) {
  std::vector<ServedModel> models = AllServed(LayerStore(LayerStoreOptions{}));
  models.push_back(TinyLayer());
  for (const ServedModel& model : models) {
    const auto metadata = DescribeModel(model);
    const auto config = DescribeConfig(model, kLimits);
    EXPECT_EQ(config.name(), metadata.name());
    EXPECT_THAT(metadata.versions(), ElementsAre("1"));
    ASSERT_GT(config.max_batch_size(), 0);
    ASSERT_EQ(config.input_size(), metadata.inputs_size());
    for (int i = 0; i < config.input_size(); ++i) {
      EXPECT_EQ(config.input(i).name(), metadata.inputs(i).name());
      EXPECT_EQ("TYPE_" + metadata.inputs(i).datatype(),
                inference::DataType_Name(config.input(i).data_type()));
      std::vector<int64_t> with_batch{-1};
      with_batch.insert(with_batch.end(), config.input(i).dims().begin(),
                        config.input(i).dims().end());
      EXPECT_THAT(metadata.inputs(i).shape(),
                  testing::ElementsAreArray(with_batch));
    }
    ASSERT_EQ(config.output_size(), metadata.outputs_size());
    for (int i = 0; i < config.output_size(); ++i) {
      EXPECT_EQ(config.output(i).name(), metadata.outputs(i).name());
      EXPECT_EQ(config.output(i).dims_size() + 1,
                metadata.outputs(i).shape_size());
    }
  }
}

TEST(ModelDescriptionTest, SchedulingIsThatOfTheSettings) {
  const auto batching =
      DescribeConfig(Fixed(InferModel::kAttention), kLimits).dynamic_batching();
  EXPECT_EQ(batching.max_queue_delay_microseconds(), 2000u);
  EXPECT_EQ(batching.priority_levels(), 3u);
  EXPECT_EQ(batching.default_queue_policy().max_queue_size(), 17u);
  const auto sequences =
      DescribeConfig(Fixed(InferModel::kAttentionKv), kLimits)
          .sequence_batching();
  EXPECT_EQ(sequences.max_sequence_idle_microseconds(), 3000000u);
  EXPECT_EQ(sequences.oldest().max_candidate_sequences(), 5);
}

TEST(ModelDescriptionTest, LayersHaveTheirDims) {
  const auto metadata = DescribeModel(TinyLayer());
  EXPECT_EQ(metadata.name(), "layer:tiny/0");
  ASSERT_EQ(metadata.inputs_size(), 4);
  EXPECT_THAT(metadata.inputs(0).shape(), ElementsAre(-1, -1, 6));
  EXPECT_THAT(metadata.inputs(1).shape(), ElementsAre(-1, -1, 6));
  EXPECT_THAT(metadata.outputs(0).shape(), ElementsAre(-1, -1, 5));
  EXPECT_THAT(metadata.outputs(1).shape(), ElementsAre(-1, 3, -1));
}

TEST(ServedModelTest, LayersThatAreNotLoadedAreNotFound) {
  const LayerStore none(LayerStoreOptions{});
  for (const char* name : {"layer:tiny/0", "layer:", "layer", "other", ""}) {
    EXPECT_EQ(FindServed(none, name, "").status().code(),
              absl::StatusCode::kNotFound)
        << name;
  }
  EXPECT_EQ(AllServed(none).size(), 2u);
}

TEST(DatatypeTest, NamesGoThereAndBack) {
  for (const char* name :
       {"FP32", "FP16", "BF16", "FP64", "BOOL", "INT32", "INT64"}) {
    EXPECT_NE(FromDatatype(name), DataType::kUnspecified) << name;
    EXPECT_EQ(ToDatatype(FromDatatype(name)), name);
  }
  EXPECT_EQ(FromDatatype("fp32"), DataType::kUnspecified);
  EXPECT_EQ(FromDatatype("BYTES"), DataType::kUnspecified);
}

}  // namespace
}  // namespace attn::test
