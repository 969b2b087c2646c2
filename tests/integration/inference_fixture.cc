#include "tests/integration/inference_fixture.h"

#include <chrono>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/create_channel.h"
#include "server/inference/datatype.h"

namespace attn::test {
namespace {

std::string Text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void AddTensor(const std::string& name, const TensorSpec& spec,
               const std::vector<std::byte>& data, InferRequest& request) {
  if (!spec.is_present) return;
  auto& input = *request.add_inputs();
  input.set_name(name);
  input.set_datatype(std::string(ToDatatype(spec.dtype)));
  input.mutable_shape()->Add(spec.dims.begin(), spec.dims.end());
  request.add_raw_input_contents(Text(data));
}

void AddKvLengths(const std::vector<int64_t>& lengths, InferRequest& request) {
  if (lengths.empty()) return;
  auto& input = *request.add_inputs();
  input.set_name("kv_lengths");
  input.set_datatype("INT64");
  input.add_shape(static_cast<int64_t>(lengths.size()));
  request.add_raw_input_contents(
      std::string(reinterpret_cast<const char*>(lengths.data()),
                  lengths.size() * sizeof(int64_t)));
}

void AddOptions(const RequestSpec& spec, InferRequest& request) {
  const AttentionParams& params = spec.params;
  constexpr const char* kCausal[] = {"none", "top_left", "bottom_right"};
  constexpr const char* kLayouts[] = {"bhsd", "bhsd", "bshd", "bse"};
  if (params.scale) Set("scale", double{*params.scale}, request);
  Set("causal", kCausal[static_cast<int>(params.causal)], request);
  if (params.causal_offset) {
    Set("causal_offset", *params.causal_offset, request);
  }
  if (params.left_window) Set("left_window", *params.left_window, request);
  if (params.right_window) Set("right_window", *params.right_window, request);
  Set("softcap", double{params.softcap}, request);
  Set("layout", kLayouts[static_cast<int>(spec.layout)], request);
  Set("num_q_heads", spec.num_q_heads, request);
  Set("num_kv_heads", spec.num_kv_heads, request);
  if (!params.rope.has_value()) return;
  Set("rope_base", double{params.rope->base}, request);
  Set("rope_interleaved", params.rope->is_interleaved, request);
}

}  // namespace

InferenceFixture::InferenceFixture(const std::vector<std::string>& flags)
    : server_(flags) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  stub_ = inference::GRPCInferenceService::NewStub(grpc::CreateCustomChannel(
      server_.grpc_address(), grpc::InsecureChannelCredentials(), arguments));
}

grpc::Status InferenceFixture::Infer(const InferRequest& request,
                                     InferResponse& response,
                                     absl::Duration timeout) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMicroseconds(timeout));
  return stub_->ModelInfer(&context, request, &response);
}

InferResponse InferenceFixture::MustInfer(const InferRequest& request) {
  InferResponse response;
  const grpc::Status status = Infer(request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

StreamEnd StreamAll(inference::GRPCInferenceService::Stub& stub,
                    const std::vector<InferRequest>& requests,
                    bool wants_status) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::minutes(1));
  if (wants_status) context.AddMetadata("triton_grpc_error", "true");
  const auto stream = stub.ModelStreamInfer(&context);
  for (const InferRequest& request : requests) {
    if (!stream->Write(request)) break;
  }
  stream->WritesDone();
  StreamEnd end;
  for (StreamResponse response; stream->Read(&response);) {
    end.responses.push_back(response);
  }
  end.status = stream->Finish();
  return end;
}

inference::ModelStatistics InferenceFixture::Statistics(
    const std::string& model) {
  inference::ModelStatisticsRequest request;
  request.set_name(model);
  inference::ModelStatisticsResponse response;
  grpc::ClientContext context;
  const grpc::Status status =
      stub_->ModelStatistics(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model_stats_size(), 1);
  return response.model_stats_size() == 1 ? response.model_stats(0)
                                          : inference::ModelStatistics();
}

InferRequest ToInferRequest(const AttentionCase& c, const std::string& model) {
  InferRequest request;
  request.set_model_name(model);
  AddTensor("Q", c.spec.query, c.query, request);
  AddTensor("K", c.spec.key, c.key, request);
  AddTensor("V", c.spec.value, c.value, request);
  AddTensor("attn_mask", c.spec.attn_mask, c.mask, request);
  AddKvLengths(c.spec.kv_lengths, request);
  AddOptions(c.spec, request);
  return request;
}

void Set(const std::string& name, int64_t value, InferRequest& request) {
  (*request.mutable_parameters())[name].set_int64_param(value);
}
void Set(const std::string& name, double value, InferRequest& request) {
  (*request.mutable_parameters())[name].set_double_param(value);
}
void Set(const std::string& name, bool value, InferRequest& request) {
  (*request.mutable_parameters())[name].set_bool_param(value);
}
void Set(const std::string& name, const char* value, InferRequest& request) {
  (*request.mutable_parameters())[name].set_string_param(value);
}

std::string RawOutput(const InferResponse& response, const std::string& name) {
  for (int i = 0; i < response.outputs_size(); ++i) {
    if (response.outputs(i).name() == name) {
      return response.raw_output_contents(i);
    }
  }
  ADD_FAILURE() << "there is no output " << name;
  return "";
}

std::string ReasonIn(const grpc::Status& status) {
  google::rpc::Status rich;
  google::rpc::ErrorInfo info;
  if (!rich.ParseFromString(status.error_details())) return "";
  for (const auto& detail : rich.details()) {
    if (detail.UnpackTo(&info)) return info.reason();
  }
  return "";
}

}  // namespace attn::test
