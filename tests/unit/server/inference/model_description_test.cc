#include "server/inference/model_description.h"

#include <chrono>

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

// What perf_analyzer insists on.
TEST(ModelDescriptionTest, ConfigurationAndMetadataAgree) {
  for (const Model model : kModels) {
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
      DescribeConfig(Model::kAttention, kLimits).dynamic_batching();
  EXPECT_EQ(batching.max_queue_delay_microseconds(), 2000u);
  EXPECT_EQ(batching.priority_levels(), 3u);
  EXPECT_EQ(batching.default_queue_policy().max_queue_size(), 17u);
  const auto sequences =
      DescribeConfig(Model::kAttentionKv, kLimits).sequence_batching();
  EXPECT_EQ(sequences.max_sequence_idle_microseconds(), 3000000u);
  EXPECT_EQ(sequences.oldest().max_candidate_sequences(), 5);
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
