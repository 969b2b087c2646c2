// ModelInfer on the real server: the bytes that AttentionService answers, every
// refusal, and statistics that add up.
#include <cstring>
#include <thread>

#include "gmock/gmock.h"
#include "tests/integration/inference_fixture.h"
#include "tests/integration/wire_case.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

class InferenceInferTest : public InferenceFixture {
 protected:
  InferenceInferTest()
      : InferenceFixture(
            {"--max-request-bytes", "1MiB", "--max-reply-bytes", "1MiB"}) {}

  // Whether both services answer `c` with the same bytes.
  void ExpectNativeBytes(const AttentionCase& c) {
    const auto native = client_->Attend(ToRequest(c));
    ASSERT_TRUE(native.ok()) << native.status();
    InferRequest request = ToInferRequest(c);
    for (const char* name :
         {"LSE", "weights", "top_probabilities", "Y", "top_indices"}) {
      request.add_outputs()->set_name(name);
    }
    Set("top_k", c.spec.output.top_k, request);
    const InferResponse response = MustInfer(request);
    EXPECT_EQ(RawOutput(response, "Y"), native->output.bytes());
    EXPECT_EQ(RawOutput(response, "LSE"), native->lse.bytes());
    EXPECT_EQ(RawOutput(response, "weights"), native->weights.bytes());
    EXPECT_EQ(RawOutput(response, "top_indices"), native->top.indices.bytes());
    EXPECT_EQ(RawOutput(response, "top_probabilities"),
              native->top.probabilities.bytes());
  }

  std::unique_ptr<client::Client> client_ = server_.NewClient();
};

CaseOptions EveryOutput() {
  CaseOptions options;
  options.batch_size = 2;
  options.num_q_heads = 4;
  options.q_len = 20;
  options.kv_len = 30;
  options.value_head_dim = 24;
  options.output = {
      .return_lse = true, .weights = WeightsMode::kProbabilities, .top_k = 3};
  return options;
}

TEST_F(InferenceInferTest, AnswersTheBytesOfAttendInEveryDtypeAndLayout) {
  for (const DataType dtype :
       {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    for (const Layout layout : {Layout::kBHSD, Layout::kBSHD, Layout::kBSE}) {
      CaseOptions options = EveryOutput();
      options.dtype = dtype;
      options.layout = layout;
      SCOPED_TRACE(std::string(DataTypeName(dtype)));
      ExpectNativeBytes(MakeCase(options));
    }
  }
}

TEST_F(InferenceInferTest, AnswersTheBytesOfAttendWithEveryOption) {
  CaseOptions options = EveryOutput();
  options.params.scale = 0.3F;
  options.params.causal = CausalMode::kBottomRight;
  options.params.left_window = 9;
  options.params.right_window = 2;
  options.params.softcap = 20;
  options.params.rope = RopeParams{.base = 10000, .is_interleaved = true};
  options.kv_lengths = {30, 17};
  options.has_mask = true;
  options.mask_dims = {20, 30};
  ExpectNativeBytes(MakeCase(options));
  options.params.causal_offset = -4;
  options.mask_dtype = DataType::kF32;
  options.mask_dims = {2, 1, 20, 30};
  ExpectNativeBytes(MakeCase(options));
}

TEST_F(InferenceInferTest, TypedContentsAnswerTheBytesOfRawOnes) {
  const AttentionCase c = MakeCase(EveryOutput());
  const InferRequest raw = ToInferRequest(c);
  InferRequest typed = raw;
  typed.clear_raw_input_contents();
  for (int i = 0; i < typed.inputs_size(); ++i) {
    const std::string& bytes = raw.raw_input_contents(i);
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    typed.mutable_inputs(i)->mutable_contents()->mutable_fp32_contents()->Add(
        values.begin(), values.end());
  }
  EXPECT_EQ(RawOutput(MustInfer(typed), "Y"), RawOutput(MustInfer(raw), "Y"));
}

TEST_F(InferenceInferTest, ResponseEchoesIdAndKeepsTheOrderOfOutputs) {
  InferRequest request = ToInferRequest(MakeCase({}));
  request.set_id("id-7");
  InferResponse response = MustInfer(request);
  EXPECT_EQ(response.id(), "id-7");
  EXPECT_EQ(response.model_name(), "attention");
  ASSERT_EQ(response.outputs_size(), 2);
  EXPECT_EQ(response.outputs(0).name(), "Y");
  EXPECT_EQ(response.outputs(0).datatype(), "FP32");
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(1, 2, 8, 16));
  EXPECT_EQ(response.raw_output_contents_size(), 2);
  request.add_outputs()->set_name("LSE");
  request.add_outputs()->set_name("Y");
  response = MustInfer(request);
  EXPECT_EQ(response.outputs(0).name(), "LSE");
  EXPECT_EQ(response.outputs(1).name(), "Y");
}

TEST_F(InferenceInferTest, OutputMayHaveADtypeOfItsOwn) {
  InferRequest request = ToInferRequest(MakeCase({}));
  Set("output_dtype", "BF16", request);
  const InferResponse response = MustInfer(request);
  EXPECT_EQ(response.outputs(0).datatype(), "BF16");
  EXPECT_EQ(response.raw_output_contents(0).size(), size_t{2 * 8 * 16 * 2});
}

struct ErrorRow {
  const char* what;
  void (*change)(InferRequest&);
  StatusCode code;
  const char* reason;
  const char* message;
};

const ErrorRow kErrorRows[] = {
    {"unknown model", [](InferRequest& r) { r.set_model_name("resnet"); },
     StatusCode::NOT_FOUND, "",
     "model_name must be attention, attention_kv or layer:<name> of a loaded "
     "layer; got \"resnet\""},
    {"unknown version", [](InferRequest& r) { r.set_model_version("3"); },
     StatusCode::NOT_FOUND, "", "model_version must be 1 or empty; got \"3\""},
    {"unknown parameter", [](InferRequest& r) { Set("speed", 9.0, r); },
     StatusCode::INVALID_ARGUMENT, "INVALID_OPTION",
     "parameters.speed must be a parameter of the model; got 9"},
    {"reserved parameter", [](InferRequest& r) { Set("triton_x", true, r); },
     StatusCode::INVALID_ARGUMENT, "INVALID_OPTION",
     "parameters.triton_x must be a parameter of the model; got true"},
    {"unknown input",
     [](InferRequest& r) { r.mutable_inputs(0)->set_name("query"); },
     StatusCode::INVALID_ARGUMENT, "INVALID_OPTION",
     "inputs[0].name must be Q, K, V, attn_mask or kv_lengths; got query"},
    {"unknown datatype",
     [](InferRequest& r) { r.mutable_inputs(0)->set_datatype("BYTES"); },
     StatusCode::INVALID_ARGUMENT, "INVALID_TENSOR",
     "inputs.Q.datatype must be FP32, FP16, BF16, FP64, BOOL, INT32 or INT64; "
     "got BYTES"},
    {"too few bytes",
     [](InferRequest& r) { r.mutable_raw_input_contents(0)->pop_back(); },
     StatusCode::INVALID_ARGUMENT, "INVALID_TENSOR",
     "query.data must hold 1024 bytes (shape [1, 2, 8, 16] of F32); got 1023"},
    {"missing raw entry",
     [](InferRequest& r) { r.mutable_raw_input_contents()->RemoveLast(); },
     StatusCode::INVALID_ARGUMENT, "INVALID_OPTION",
     "raw_input_contents must have as many entries as inputs; got 2 vs 3"},
    {"missing input",
     [](InferRequest& r) {
       r.mutable_raw_input_contents()->RemoveLast();
       r.mutable_inputs()->RemoveLast();
     },
     StatusCode::INVALID_ARGUMENT, "INVALID_TENSOR",
     "value is required; got nothing"},
    {"shapes that do not fit",
     [](InferRequest& r) {
       r.mutable_inputs(1)->set_shape(2, 4);
       r.mutable_inputs(1)->set_shape(3, 32);
     },
     StatusCode::INVALID_ARGUMENT, "INVALID_TENSOR",
     "key.shape[3] must equal query.shape[3]; got 32 vs 16"},
    {"classification",
     [](InferRequest& r) {
       auto& output = *r.add_outputs();
       output.set_name("Y");
       (*output.mutable_parameters())["classification"].set_int64_param(1);
     },
     StatusCode::INVALID_ARGUMENT, "INVALID_OPTION",
     "outputs.Y.parameters must be empty; got classification"},
    {"shared memory",
     [](InferRequest& r) {
       (*r.mutable_inputs(0)->mutable_parameters())["shared_memory_region"]
           .set_string_param("x");
     },
     StatusCode::UNIMPLEMENTED, "NOT_SERVED",
     "inputs.Q.parameters.shared_memory_region is not served by this version"},
    {"a sequence with the stateless model",
     [](InferRequest& r) { Set("sequence_id", int64_t{7}, r); },
     StatusCode::INVALID_ARGUMENT, "INVALID_OPTION",
     "parameters.sequence_id must be absent with model attention; got 7"},
    {"too large",
     [](InferRequest& r) { r.mutable_raw_input_contents(0)->resize(3 << 19); },
     StatusCode::RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE",
     "the request must be at most 1048576 bytes; got "},
    {"a deadline that cannot be met",
     [](InferRequest& r) { Set("timeout", int64_t{1}, r); },
     StatusCode::DEADLINE_EXCEEDED, "DEADLINE_UNREACHABLE", ""},
};

TEST_F(InferenceInferTest, RefusalsNameFieldRuleAndNumbers) {
  for (const ErrorRow& row : kErrorRows) {
    SCOPED_TRACE(row.what);
    InferRequest request = ToInferRequest(MakeCase({}));
    row.change(request);
    InferResponse response;
    const grpc::Status status = Infer(request, response);
    EXPECT_EQ(status.error_code(), row.code) << status.error_message();
    EXPECT_EQ(ReasonIn(status), row.reason);
    EXPECT_THAT(status.error_message(), HasSubstr(row.message));
  }
}

// A microsecond is refused above.
TEST_F(InferenceInferTest, TimeoutThatSufficesChangesNothing) {
  const AttentionCase c = MakeCase({});
  InferRequest request = ToInferRequest(c);
  Set("timeout", int64_t{60'000'000}, request);
  EXPECT_EQ(RawOutput(MustInfer(request), "Y"),
            RawOutput(MustInfer(ToInferRequest(c)), "Y"));
}

TEST_F(InferenceInferTest, StatisticsAddUpToTheClientsCount) {
  constexpr int64_t kThreads = 4;
  const int64_t each = Scaled(50, 10);
  CaseOptions options;
  options.batch_size = 3;
  const AttentionCase c = MakeCase(options);
  std::vector<std::thread> threads;
  for (int64_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int64_t j = 0; j < each; ++j) MustInfer(ToInferRequest(c));
    });
  }
  for (std::thread& thread : threads) thread.join();
  InferRequest bad = ToInferRequest(c);
  Set("speed", 1.0, bad);
  InferResponse response;
  EXPECT_FALSE(Infer(bad, response).ok());

  const auto read = Statistics("attention");
  const auto expected = static_cast<uint64_t>(kThreads * each);
  const auto& stats = read.inference_stats();
  EXPECT_EQ(stats.success().count(), expected);
  EXPECT_EQ(stats.fail().count(), 1u);
  EXPECT_EQ(stats.queue().count(), expected);
  EXPECT_EQ(stats.compute_input().count(), expected);
  EXPECT_EQ(stats.compute_infer().count(), expected);
  EXPECT_EQ(stats.compute_output().count(), expected);
  EXPECT_EQ(read.inference_count(), 3 * expected);
  uint64_t requests = 0;
  uint64_t infer_ns = 0;
  double batches = 0;
  for (const auto& batch : read.batch_stats()) {
    requests += batch.compute_infer().count();
    infer_ns += batch.compute_infer().ns();
    batches += static_cast<double>(batch.compute_infer().count()) /
               static_cast<double>(batch.batch_size());
  }
  EXPECT_EQ(requests, expected);
  EXPECT_EQ(infer_ns, stats.compute_infer().ns());
  EXPECT_DOUBLE_EQ(batches, static_cast<double>(read.execution_count()))
      << "no other requests were in the batches";
  EXPECT_EQ(server_.Metrics().Sum("attn_batches_total"),
            static_cast<double>(read.execution_count()));
  EXPECT_LE(stats.queue().ns() + stats.compute_infer().ns(),
            stats.success().ns());
  EXPECT_GT(read.last_inference(), 0u);
  EXPECT_EQ(Statistics("attention_kv").inference_stats().success().count(), 0u);
}

TEST_F(InferenceInferTest, CallsCountInTheSameMetrics) {
  MustInfer(ToInferRequest(MakeCase({})));
  const auto metrics = server_.Metrics();
  EXPECT_EQ(metrics.Sum("grpc_server_handled_total",
                        {{"grpc_method", "ModelInfer"}, {"grpc_code", "OK"}}),
            1);
  EXPECT_EQ(metrics.Sum("attn_tasks_total", {{"outcome", "completed"}}), 1);
  EXPECT_EQ(metrics.Sum("attn_request_bytes_count"), 1);
}

}  // namespace
}  // namespace attn::test
