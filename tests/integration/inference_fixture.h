// The real server behind the generated stub of the Open Inference Protocol.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "inference/grpc_service.grpc.pb.h"
#include "tests/integration/server_process.h"
#include "tests/support/attention_case.h"

namespace attn::test {

using InferRequest = inference::ModelInferRequest;
using InferResponse = inference::ModelInferResponse;
using StreamResponse = inference::ModelStreamInferResponse;

// What became of a stream.
struct StreamEnd {
  std::vector<StreamResponse> responses;
  grpc::Status status;
};
// Writes all requests, then reads all responses.
StreamEnd StreamAll(inference::GRPCInferenceService::Stub& stub,
                    const std::vector<InferRequest>& requests,
                    bool wants_status = false);

class InferenceFixture : public testing::Test {
 protected:
  explicit InferenceFixture(const std::vector<std::string>& flags = {});

  grpc::Status Infer(const InferRequest& request, InferResponse& response,
                     absl::Duration timeout = absl::Minutes(1));
  // Its response; an empty one and a failed test where it is refused.
  InferResponse MustInfer(const InferRequest& request);

  StreamEnd Stream(const std::vector<InferRequest>& requests,
                   bool wants_status = false) {
    return StreamAll(*stub_, requests, wants_status);
  }

  inference::ModelStatistics Statistics(const std::string& model);

  ServerProcess server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
};

// The case's tensors as raw inputs and its options as parameters.
InferRequest ToInferRequest(const AttentionCase& attention_case,
                            const std::string& model = "attention");

// Sets a parameter.
void Set(const std::string& name, int64_t value, InferRequest& request);
void Set(const std::string& name, double value, InferRequest& request);
void Set(const std::string& name, bool value, InferRequest& request);
void Set(const std::string& name, const char* value, InferRequest& request);

// Raw bytes of an output; "" and a failed test where there is none.
std::string RawOutput(const InferResponse& response, const std::string& name);

// The reason in the status' google.rpc.ErrorInfo; "" if there is none.
std::string ReasonIn(const grpc::Status& status);

}  // namespace attn::test
