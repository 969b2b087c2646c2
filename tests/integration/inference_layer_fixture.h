// A real server with layers behind the stub of the Open Inference Protocol.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/integration/inference_fixture.h"
#include "tests/integration/layer_fixture.h"

namespace attn::test {

// An FP32 or BOOL input.
void AddTensor(const std::string& name, const v1::Tensor& tensor,
               InferRequest& request);

// The tensors of `forward`; its options are left to the test.
InferRequest ToInfer(const v1::ForwardRequest& forward);

class InferenceLayerFixture : public testing::Test {
 protected:
  using Stub = inference::GRPCInferenceService::Stub;
  template <typename Request, typename Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&,
                                        Response*);

  explicit InferenceLayerFixture(const std::vector<std::string>& flags = {});

  template <typename Request, typename Response>
  grpc::Status Call(Method<Request, Response> method, const Request& request,
                    Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() +
                         std::chrono::minutes(1));
    return ((*stub_).*method)(&context, request, &response);
  }

  InferResponse MustInfer(const InferRequest& request);
  grpc::Status Refusal(const InferRequest& request);
  v1::ForwardResponse MustForward(const v1::ForwardRequest& request);

  LayerServer server_;
  std::unique_ptr<Stub> stub_;
};

}  // namespace attn::test
