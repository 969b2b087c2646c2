// LayerService of the real server: what a layer answers is what the reference
// computes, whoever asks beside it; and layers come and go as settings and
// clients say.
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "client/cpp/error_details.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/layer_fixture.h"

namespace attn::test {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LayerTest : public testing::Test {
 protected:
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    const auto layers = server_.ListLayers();
    EXPECT_TRUE(layers.ok()) << layers.status();
    if (!layers.ok()) return {};
    for (const auto& layer : layers->layers()) names.push_back(layer.name());
    return names;
  }
  void ExpectError(const absl::Status& status, StatusCode code,
                   const std::string& reason) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(client::ErrorReason(status), reason) << status;
  }
  // What llama/0 gives for these hidden rows from an empty start.
  Bounded Expected(int64_t rows, const v1::Tensor& hidden) {
    return ForwardReference(server_.Reference(0, WeightFormat::kUnspecified),
                            {.q_len = rows, .hidden = ToValues(hidden)});
  }

  LayerServer server_;
};

TEST_F(LayerTest, AnswersWhatTheReferenceComputes) {
  server_.Start();
  for (const int64_t rows : {1, 5, 33}) {
    v1::ForwardRequest request =
        server_.Request(rows, static_cast<uint64_t>(rows));
    request.set_request_id("r");
    request.mutable_output()->set_return_lse(true);
    const auto response = server_.Forward(request);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->request_id(), "r");
    EXPECT_THAT(response->output().shape(), ElementsAre(1, rows, 32));
    EXPECT_THAT(response->lse().shape(), ElementsAre(1, 4, rows));
    EXPECT_GE(response->timing().batch_size(), 1u);
    EXPECT_EQ(CompareWithBound(Expected(rows, request.hidden()),
                               ToValues(response->output())),
              "");
  }
}

TEST_F(LayerTest, KeepsWeightsAsTheSettingSays) {
  server_.Start({"--layer-weights", "int8"});
  const auto layer = server_.GetLayer("llama/1");
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->weights(), v1::WEIGHT_FORMAT_INT8);
  v1::ForwardRequest request = server_.Request(7, 3);
  request.set_layer("llama/1");
  const auto response = server_.Forward(request);
  ASSERT_TRUE(response.ok()) << response.status();
  const Bounded expected =
      ForwardReference(server_.Reference(1, WeightFormat::kInt8),
                       {.q_len = 7, .hidden = ToValues(request.hidden())});
  EXPECT_EQ(CompareWithBound(expected, ToValues(response->output())), "");
}

TEST_F(LayerTest, ASessionRemembersProjectedTokens) {
  server_.Start();
  server_.MakeSession("s");
  v1::ForwardRequest whole = server_.Request(6, 11);
  const std::vector<double> rows = ToValues(whole.hidden());
  std::vector<double> got;
  for (int64_t i = 0; i < 6; ++i) {
    v1::ForwardRequest step = whole;
    *step.mutable_hidden() = ToTensor(
        {rows.begin() + i * 32, rows.begin() + (i + 1) * 32}, {1, 1, 32});
    step.mutable_session()->set_session_id("s");
    step.mutable_session()->set_expected_length(static_cast<uint64_t>(i));
    const auto response = server_.Forward(step);
    ASSERT_TRUE(response.ok()) << response.status();
    EXPECT_EQ(response->session_length(), static_cast<uint64_t>(i + 1));
    for (const double value : ToValues(response->output())) {
      got.push_back(value);
    }
  }
  EXPECT_EQ(CompareWithBound(Expected(6, whole.hidden()), got), "");
}

TEST_F(LayerTest, AnAppendThatIsSentAgainIsNotAppendedTwice) {
  server_.Start();
  server_.MakeSession("s");
  v1::ForwardRequest request = server_.Request(3, 5);
  request.mutable_session()->set_session_id("s");
  request.mutable_session()->set_expected_length(0);
  const auto first = server_.Forward(request);
  const auto again = server_.Forward(request);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->session_length(), 3u);
  EXPECT_EQ(again->output().data(), first->output().data());
  // Other tokens in their place are not a retry.
  *request.mutable_hidden() = server_.Request(3, 6).hidden();
  ExpectError(server_.Forward(request).status(),
              StatusCode::kFailedPrecondition, "LENGTH_MISMATCH");
}

TEST_F(LayerTest, ABatchAnswersEachAsAloneAndSessionsInTheirOrder) {
  server_.Start();
  server_.MakeSession("s");
  server_.MakeSession("t");
  v1::ForwardBatchRequest batch;
  std::vector<std::string> alone;
  for (int i = 0; i < 12; ++i) {
    v1::ForwardRequest request =
        server_.Request(1 + i % 5, static_cast<uint64_t>(i));
    alone.push_back(server_.Forward(request)->output().data());
    *batch.add_requests() = request;
  }
  // Whose order is told by expected_length.
  uint64_t length = 0;
  for (int i = 0; i < 20; ++i) {
    v1::ForwardRequest request =
        server_.Request(1 + i % 3, static_cast<uint64_t>(i));
    // Later ones are more urgent, and would overtake.
    request.set_priority(i < 10 ? v1::PRIORITY_LOW : v1::PRIORITY_HIGH);
    for (const char* id : {"s", "t"}) {
      request.mutable_session()->set_session_id(id);
      request.mutable_session()->set_expected_length(length);
      *batch.add_requests() = request;
    }
    length += static_cast<uint64_t>(1 + i % 3);
  }
  const auto response = server_.ForwardBatch(batch);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->results_size(), 52);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(response->results(i).response().output().data(),
              alone[static_cast<size_t>(i)])
        << i;
  }
  for (int i = 12; i < 52; ++i) {
    EXPECT_EQ(response->results(i).status().code(), 0)
        << i << response->results(i).status().message();
  }
  EXPECT_EQ(response->results(51).response().session_length(), length);
}

TEST_F(LayerTest, AnItemOfABatchFailsForItself) {
  server_.Start();
  v1::ForwardBatchRequest batch;
  *batch.add_requests() = server_.Request(2, 1);
  *batch.add_requests() = server_.Request(2, 1);
  batch.mutable_requests(1)->set_layer("llama/7");
  batch.mutable_requests(1)->set_request_id("b");
  batch.add_requests()->set_layer("llama/0");
  const auto response = server_.ForwardBatch(batch);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->results_size(), 3);
  EXPECT_EQ(response->results(0).status().code(), 0);
  EXPECT_EQ(response->results(1).status().code(), 5);
  EXPECT_EQ(response->results(1).response().request_id(), "b");
  EXPECT_EQ(response->results(2).status().code(), 3);
  EXPECT_THAT(response->results(2).status().message(), HasSubstr("hidden"));
}

// Also where they grow with the session, which no request knows beforehand.
TEST_F(LayerTest, TheRepliesOfABatchShareTheirBound) {
  constexpr size_t kMaxReplyBytes = size_t{64} << 10;
  server_.Start({"--max-reply-bytes", "64KiB"});
  server_.MakeSession("s");
  v1::ForwardBatchRequest batch;
  for (int i = 0; i < 20; ++i) {
    v1::ForwardRequest& request = *batch.add_requests();
    request = server_.Request(8, static_cast<uint64_t>(i));
    request.mutable_session()->set_session_id("s");
    request.mutable_output()->set_weights(v1::WEIGHTS_PROBABILITIES);
  }
  const auto response = server_.ForwardBatch(batch);
  ASSERT_TRUE(response.ok()) << response.status();
  size_t bytes = 0;
  int64_t num_ok = 0;
  for (const v1::ForwardResult& result : response->results()) {
    bytes += result.response().output().data().size() +
             result.response().weights().data().size();
    if (result.status().code() == 0) {
      ++num_ok;
    } else {
      EXPECT_THAT(result.status().message(),
                  HasSubstr("the message's replies together must be at most"));
    }
  }
  EXPECT_LE(bytes, kMaxReplyBytes);
  EXPECT_GT(num_ok, 5);
  EXPECT_LT(num_ok, 20);
  // Those that were refused have appended nothing.
  EXPECT_EQ(server_.LengthOf("s"), 8 * num_ok);
}

TEST_F(LayerTest, TellsWhatIsWrongWithARequest) {
  server_.Start();
  v1::ForwardRequest request = server_.Request(2, 1);
  request.set_layer("llama/7");
  ExpectError(server_.Forward(request).status(), StatusCode::kNotFound,
              "LAYER_NOT_LOADED");
  request = server_.Request(2, 1);
  request.mutable_hidden()->set_shape(2, 31);
  const absl::Status status = server_.Forward(request).status();
  ExpectError(status, StatusCode::kInvalidArgument, "INVALID_TENSOR");
  EXPECT_THAT(status.message(), HasSubstr("hidden"));
  request = server_.Request(2, 1);
  request.mutable_session()->set_session_id("nobody");
  ExpectError(server_.Forward(request).status(), StatusCode::kNotFound,
              "SESSION_NEVER_EXISTED");
}

TEST_F(LayerTest, ListsLayersPageByPage) {
  server_.Start();
  EXPECT_THAT(Names(), ElementsAre("gpt2/0", "gpt2/1", "llama/0", "llama/1"));
  const auto first = server_.ListLayers(3);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->layers_size(), 3);
  const auto second = server_.ListLayers(3, first->next_page_token());
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_EQ(second->layers_size(), 1);
  EXPECT_EQ(second->next_page_token(), "");
  const v1::Layer& layer = second->layers(0);
  EXPECT_EQ(layer.name(), "llama/1");
  EXPECT_EQ(layer.model_type(), "llama");
  EXPECT_EQ(layer.index(), 1u);
  EXPECT_EQ(layer.hidden_dim(), 32u);
  EXPECT_EQ(layer.output_dim(), 32u);
  EXPECT_EQ(layer.num_q_heads(), 4u);
  EXPECT_EQ(layer.num_kv_heads(), 2u);
  EXPECT_EQ(layer.head_dim(), 8u);
  EXPECT_EQ(layer.causal(), v1::CAUSAL_TOP_LEFT);
  EXPECT_TRUE(layer.has_rope());
  EXPECT_EQ(layer.weights(), v1::WEIGHT_FORMAT_F32);
  EXPECT_GT(layer.weight_bytes(), 0u);
  ExpectError(server_.ListLayers(0, "nonsense").status(),
              StatusCode::kInvalidArgument, "INVALID_OPTION");
}

TEST_F(LayerTest, ClientsLoadAndUnloadOnlyWithTheSetting) {
  server_.Start({"--load-layers", "llama/0"});
  EXPECT_THAT(Names(), ElementsAre("llama/0"));
  EXPECT_EQ(server_.LoadLayer("llama/1").status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(server_.UnloadLayer("llama/0").code(),
            StatusCode::kPermissionDenied);
  EXPECT_THAT(Names(), ElementsAre("llama/0"));
}

TEST_F(LayerTest, ClientsLoadAndUnload) {
  server_.Start({"--load-layers", "none", "--layer-loading"});
  EXPECT_THAT(Names(), IsEmpty());
  const auto loaded = server_.LoadLayer("llama/0", v1::WEIGHT_FORMAT_BF16);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->weights(), v1::WEIGHT_FORMAT_BF16);
  EXPECT_TRUE(server_.Forward(server_.Request(2, 1)).ok());
  ExpectError(server_.LoadLayer("llama/0").status(), StatusCode::kAlreadyExists,
              "LAYER_LOADED");
  ExpectError(server_.LoadLayer("llama/2").status(), StatusCode::kNotFound,
              "LAYER_NOT_FOUND");
  ExpectError(server_.LoadLayer("../llama/0").status(),
              StatusCode::kInvalidArgument, "INVALID_OPTION");
  ExpectError(
      server_.LoadLayer("llama/1", static_cast<v1::WeightFormat>(9)).status(),
      StatusCode::kInvalidArgument, "INVALID_OPTION");
  EXPECT_TRUE(server_.UnloadLayer("llama/0").ok());
  ExpectError(server_.UnloadLayer("llama/0"), StatusCode::kNotFound,
              "LAYER_NOT_LOADED");
  ExpectError(server_.Forward(server_.Request(2, 1)).status(),
              StatusCode::kNotFound, "LAYER_NOT_LOADED");
}

TEST_F(LayerTest, ABadFileFailsItsLoadAlone) {
  server_.Start({"--load-layers", "llama/0", "--layer-loading"});
  std::ofstream(server_.folder() + "/gpt2/model.safetensors") << "nonsense";
  ExpectError(server_.LoadLayer("gpt2/0").status(),
              StatusCode::kFailedPrecondition, "BAD_CHECKPOINT");
  EXPECT_TRUE(server_.Forward(server_.Request(2, 1)).ok());
}

TEST_F(LayerTest, CountsTokensAndBytes) {
  server_.Start();
  ASSERT_TRUE(server_.Forward(server_.Request(5, 1)).ok());
  const attnctl::MetricSet metrics = server_.process().Metrics();
  EXPECT_EQ(metrics.Sum("attn_layer_tokens_total", {{"layer", "llama/0"}}), 5);
  EXPECT_EQ(metrics.Sum("attn_layer_tokens_total", {{"layer", "llama/1"}}), 0);
  EXPECT_EQ(metrics.Sum("attn_layers"), 4);
  EXPECT_GT(metrics.Sum("attn_layer_weight_bytes"), 4 * 32 * 32);
  EXPECT_GT(metrics.Sum("attn_projection_seconds_count"), 0);
  EXPECT_THAT(server_.process().Get("/statusz?format=json"),
              HasSubstr("\"layers\":4,\"layer_weight_bytes\":"));
}

}  // namespace
}  // namespace attn::test
