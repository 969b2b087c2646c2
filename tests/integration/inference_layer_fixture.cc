#include "tests/integration/inference_layer_fixture.h"

#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace attn::test {

void AddTensor(const std::string& name, const v1::Tensor& tensor,
               InferRequest& request) {
  auto& input = *request.add_inputs();
  input.set_name(name);
  input.set_datatype(tensor.dtype() == v1::DATA_TYPE_BOOL ? "BOOL" : "FP32");
  *input.mutable_shape() = tensor.shape();
  request.add_raw_input_contents(tensor.data());
}

InferRequest ToInfer(const v1::ForwardRequest& forward) {
  InferRequest request;
  request.set_model_name("layer:" + forward.layer());
  AddTensor("hidden", forward.hidden(), request);
  if (forward.has_context()) AddTensor("context", forward.context(), request);
  if (forward.has_attn_mask()) {
    AddTensor("attn_mask", forward.attn_mask(), request);
  }
  return request;
}

InferenceLayerFixture::InferenceLayerFixture(
    const std::vector<std::string>& flags) {
  server_.Start(flags);
  stub_ = inference::GRPCInferenceService::NewStub(grpc::CreateChannel(
      server_.process().grpc_address(), grpc::InsecureChannelCredentials()));
}

InferResponse InferenceLayerFixture::MustInfer(const InferRequest& request) {
  InferResponse response;
  const grpc::Status status = Call(&Stub::ModelInfer, request, response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response;
}

grpc::Status InferenceLayerFixture::Refusal(const InferRequest& request) {
  InferResponse response;
  return Call(&Stub::ModelInfer, request, response);
}

v1::ForwardResponse InferenceLayerFixture::MustForward(
    const v1::ForwardRequest& request) {
  const auto response = server_.Forward(request);
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? *response : v1::ForwardResponse();
}

}  // namespace attn::test
