#include "server/rpc_method.h"

#include <gtest/gtest.h>

#include "attn/v1/attention.pb.h"
#include "attn/v1/layer.pb.h"
#include "attn/v1/session.pb.h"
#include "grpc/health/v1/health.pb.h"
#include "inference/grpc_service.pb.h"

namespace attn {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;

std::string TypeOf(const MethodDescriptor& method) {
  if (method.client_streaming()) {
    return method.server_streaming() ? "bidi_stream" : "client_stream";
  }
  return method.server_streaming() ? "server_stream" : "unary";
}

const FileDescriptor* const kFiles[] = {
    attn::v1::AttendRequest::descriptor()->file(),
    attn::v1::CreateSessionRequest::descriptor()->file(),
    attn::v1::ForwardRequest::descriptor()->file(),
    grpc::health::v1::HealthCheckRequest::descriptor()->file(),
    inference::ModelInferRequest::descriptor()->file()};

// Every method of the .proto files, in their order.
std::vector<const MethodDescriptor*> MethodsOfTheContract() {
  std::vector<const MethodDescriptor*> methods;
  for (const FileDescriptor* file : kFiles) {
    for (int i = 0; i < file->service_count(); ++i) {
      for (int j = 0; j < file->service(i)->method_count(); ++j) {
        methods.push_back(file->service(i)->method(j));
      }
    }
  }
  return methods;
}

TEST(RpcMethodTest, TableIsTheContract) {
  const auto methods = MethodsOfTheContract();
  ASSERT_EQ(methods.size(), static_cast<size_t>(kNumRpcMethods));
  for (int i = 0; i < kNumRpcMethods; ++i) {
    const RpcMethodFacts& facts = FactsOf(static_cast<RpcMethod>(i));
    const MethodDescriptor& method = *methods[static_cast<size_t>(i)];
    EXPECT_EQ(facts.method, method.name());
    EXPECT_EQ(facts.service, method.service()->full_name());
    EXPECT_EQ(facts.type, TypeOf(method)) << facts.method;
  }
}

TEST(RpcMethodTest, NamesCodesInCamelCase) {
  EXPECT_EQ(GrpcCodeName(0), "OK");
  EXPECT_EQ(GrpcCodeName(8), "ResourceExhausted");
  EXPECT_EQ(GrpcCodeName(16), "Unauthenticated");
  EXPECT_EQ(GrpcCodeName(17), "Unknown");
  EXPECT_EQ(GrpcCodeName(-1), "Unknown");
}

}  // namespace
}  // namespace attn
