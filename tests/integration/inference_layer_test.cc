// Layers as models of the Open Inference Protocol: the same bytes as
// LayerService's, and models that come and go with the layers.
#include <chrono>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "tests/integration/inference_layer_fixture.h"

namespace attn::test {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kModel[] = "layer:llama/0";

class InferenceLayerTest : public InferenceLayerFixture {
 protected:
  InferenceLayerTest() : InferenceLayerFixture({"--layer-loading"}) {}

  // The response about model `name`, whose answer must be OK.
  template <typename Request, typename Response>
  Response About(Method<Request, Response> method, const std::string& name) {
    Request request;
    request.set_name(name);
    Response response;
    const grpc::Status status = Call(method, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  std::vector<std::string> Index() {
    inference::RepositoryIndexRequest request;
    request.set_ready(true);
    inference::RepositoryIndexResponse response;
    EXPECT_TRUE(Call(&Stub::RepositoryIndex, request, response).ok());
    std::vector<std::string> names;
    for (const auto& model : response.models()) names.push_back(model.name());
    return names;
  }
};

TEST_F(InferenceLayerTest, AnswersTheBytesOfForward) {
  for (const int64_t rows : {1, 5, 33}) {
    v1::ForwardRequest forward =
        server_.Request(rows, static_cast<uint64_t>(rows));
    forward.mutable_output()->set_return_lse(true);
    InferRequest request = ToInfer(forward);
    request.set_id("r");
    const InferResponse response = MustInfer(request);
    EXPECT_EQ(response.model_name(), kModel);
    EXPECT_EQ(response.model_version(), "1");
    EXPECT_EQ(response.id(), "r");
    ASSERT_EQ(response.outputs_size(), 2);
    EXPECT_EQ(response.outputs(0).datatype(), "FP32");
    EXPECT_THAT(response.outputs(0).shape(), ElementsAre(1, rows, 32));
    EXPECT_THAT(response.outputs(1).shape(), ElementsAre(1, 4, rows));
    const v1::ForwardResponse native = MustForward(forward);
    EXPECT_EQ(RawOutput(response, "output"), native.output().data());
    EXPECT_EQ(RawOutput(response, "lse"), native.lse().data());
  }
}

TEST_F(InferenceLayerTest, OptionsAreThoseOfForward) {
  v1::ForwardRequest forward = server_.Request(4, 1);
  *forward.mutable_context() = ToTensor(HiddenRows(6, 32, 2), {1, 6, 32});
  auto& mask = *forward.mutable_attn_mask();
  mask.set_dtype(v1::DATA_TYPE_BOOL);
  mask.add_shape(6);
  mask.set_data(std::string("\1\1\0\1\1\1", 6));
  forward.add_kv_lengths(5);
  InferRequest request = ToInfer(forward);
  AddTensor("kv_lengths", {}, request);
  request.mutable_inputs(3)->set_datatype("INT64");
  request.mutable_inputs(3)->add_shape(1);
  *request.mutable_raw_input_contents(3) = std::string("\5\0\0\0\0\0\0\0", 8);
  forward.set_causal(v1::CAUSAL_TOP_LEFT);
  Set("causal", "top_left", request);
  forward.set_causal_offset(2);
  Set("causal_offset", int64_t{2}, request);
  for (const int64_t position : {3, 5, 9, 11}) forward.add_positions(position);
  Set("positions", "3, 5, 9, 11", request);
  v1::OutputOptions& output = *forward.mutable_output();
  output.set_dtype(v1::DATA_TYPE_BF16);
  Set("output_dtype", "bf16", request);
  output.set_weights(v1::WEIGHTS_PROBABILITIES);
  Set("weights", "probabilities", request);
  output.set_top_k(2);
  Set("top_k", int64_t{2}, request);
  const v1::ForwardResponse native = MustForward(forward);
  const InferResponse response = MustInfer(request);
  EXPECT_EQ(RawOutput(response, "output"), native.output().data());
  EXPECT_EQ(RawOutput(response, "weights"), native.weights().data());
  EXPECT_EQ(RawOutput(response, "top_indices"), native.top().indices().data());
  EXPECT_EQ(RawOutput(response, "top_probabilities"),
            native.top().probabilities().data());
  EXPECT_EQ(response.outputs(0).datatype(), "BF16");
}

TEST_F(InferenceLayerTest, StreamsAnswerInTheirOrder) {
  std::vector<std::string> expected;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::minutes(1));
  const auto stream = stub_->ModelStreamInfer(&context);
  for (const int64_t rows : {9, 1, 4}) {
    const v1::ForwardRequest forward = server_.Request(rows, 3);
    expected.push_back(MustForward(forward).output().data());
    ASSERT_TRUE(stream->Write(ToInfer(forward)));
  }
  InferRequest unknown = ToInfer(server_.Request(1, 3));
  unknown.set_model_name("layer:llama/7");
  unknown.set_id("u");
  ASSERT_TRUE(stream->Write(unknown));
  stream->WritesDone();
  StreamResponse response;
  for (const std::string& output : expected) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.error_message(), "");
    EXPECT_EQ(RawOutput(response.infer_response(), "output"), output);
  }
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_THAT(response.error_message(), HasSubstr("got \"layer:llama/7\""));
  EXPECT_EQ(response.infer_response().id(), "u");
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(InferenceLayerTest, ModelsAreDescribedByTheirLayers) {
  EXPECT_TRUE(About(&Stub::ModelReady, kModel).ready());
  const auto metadata = About(&Stub::ModelMetadata, kModel);
  EXPECT_EQ(metadata.name(), kModel);
  ASSERT_EQ(metadata.inputs_size(), 4);
  EXPECT_EQ(metadata.inputs(0).name(), "hidden");
  EXPECT_THAT(metadata.inputs(0).shape(), ElementsAre(-1, -1, 32));
  ASSERT_EQ(metadata.outputs_size(), 2);
  EXPECT_THAT(metadata.outputs(0).shape(), ElementsAre(-1, -1, 32));
  EXPECT_THAT(metadata.outputs(1).shape(), ElementsAre(-1, 4, -1));
  const auto config = About(&Stub::ModelConfig, kModel).config();
  EXPECT_EQ(config.name(), kModel);
  EXPECT_TRUE(config.has_dynamic_batching());
  EXPECT_FALSE(config.input(0).optional());
  EXPECT_TRUE(config.input(1).optional());
}

TEST_F(InferenceLayerTest, ModelsComeAndGoWithTheLayers) {
  EXPECT_THAT(Index(), ElementsAre("attention", "attention_kv", "layer:gpt2/0",
                                   "layer:gpt2/1", kModel, "layer:llama/1"));
  ASSERT_TRUE(server_.UnloadLayer("llama/0").ok());
  EXPECT_THAT(Index(), ElementsAre("attention", "attention_kv", "layer:gpt2/0",
                                   "layer:gpt2/1", "layer:llama/1"));
  EXPECT_FALSE(About(&Stub::ModelReady, kModel).ready());
  inference::ModelMetadataRequest about;
  about.set_name(kModel);
  inference::ModelMetadataResponse metadata;
  EXPECT_EQ(Call(&Stub::ModelMetadata, about, metadata).error_code(),
            StatusCode::NOT_FOUND);
  const InferRequest request = ToInfer(server_.Request(2, 3));
  const grpc::Status refusal = Refusal(request);
  EXPECT_EQ(refusal.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(refusal.error_message(),
            "model_name must be attention, attention_kv or layer:<name> of a "
            "loaded layer; got \"layer:llama/0\"");
  ASSERT_TRUE(server_.LoadLayer("llama/0").ok());
  EXPECT_EQ(MustInfer(request).outputs_size(), 2);
}

TEST_F(InferenceLayerTest, StatisticsCountForEachLayer) {
  const InferRequest request = ToInfer(server_.Request(2, 3));
  for (int i = 0; i < 3; ++i) MustInfer(request);
  InferRequest bad = request;
  bad.mutable_inputs(0)->set_name("context");
  EXPECT_EQ(Refusal(bad).error_code(), StatusCode::INVALID_ARGUMENT);
  const auto all = About(&Stub::ModelStatistics, "");
  EXPECT_EQ(all.model_stats_size(), 6);
  for (const auto& model : all.model_stats()) {
    const auto& stats = model.inference_stats();
    const bool is_used = model.name() == kModel;
    EXPECT_EQ(stats.success().count(), is_used ? 3u : 0u) << model.name();
    EXPECT_EQ(stats.compute_infer().count(), is_used ? 3u : 0u);
    EXPECT_EQ(stats.fail().count(), is_used ? 1u : 0u) << model.name();
    EXPECT_EQ(model.execution_count(), is_used ? 3u : 0u) << model.name();
    EXPECT_EQ(stats.compute_infer().ns() > 0, is_used) << model.name();
  }
}

TEST_F(InferenceLayerTest, ErrorsNameTheFieldsOfForward) {
  InferRequest request = ToInfer(server_.Request(2, 3));
  request.mutable_inputs(0)->set_shape(1, 4);  // As many bytes.
  request.mutable_inputs(0)->set_shape(2, 16);
  const grpc::Status status = Refusal(request);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("hidden.shape must be"));
  EXPECT_EQ(ReasonIn(status), "INVALID_TENSOR");
}

}  // namespace
}  // namespace attn::test
