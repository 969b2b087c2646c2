// The methods of the Open Inference Protocol that carry no tensors.
#include <csignal>

#include "gmock/gmock.h"
#include "tests/integration/inference_fixture.h"

namespace attn::test {
namespace {

using grpc::StatusCode;
using Stub = inference::GRPCInferenceService::Stub;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

class InferenceMethodsTest : public InferenceFixture {
 protected:
  InferenceMethodsTest() : InferenceFixture({"--drain-delay", "20s"}) {}

  template <typename Request, typename Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&,
                                        Response*);

  template <typename Request, typename Response>
  grpc::Status Call(Method<Request, Response> method, const Request& request,
                    Response& response) {
    grpc::ClientContext context;
    return ((*stub_).*method)(&context, request, &response);
  }

  // The response to `request`, whose answer must be OK.
  template <typename Request, typename Response>
  Response Get(Method<Request, Response> method, const Request& request = {}) {
    Response response;
    const grpc::Status status = Call(method, request, response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  template <typename Request, typename Response>
  void ExpectUnimplemented(Method<Request, Response> method) {
    Response response;
    const grpc::Status status = Call(method, Request(), response);
    EXPECT_EQ(status.error_code(), StatusCode::UNIMPLEMENTED);
    EXPECT_THAT(status.error_message(), HasSubstr(" "));
    EXPECT_EQ(ReasonIn(status), "NOT_SERVED");
  }
};

TEST_F(InferenceMethodsTest, ServerIsLiveReadyAndSaysWhatItCan) {
  EXPECT_TRUE(Get(&Stub::ServerLive).live());
  EXPECT_TRUE(Get(&Stub::ServerReady).ready());
  const auto metadata = Get(&Stub::ServerMetadata);
  EXPECT_EQ(metadata.name(), "attnserve");
  EXPECT_THAT(metadata.extensions(),
              UnorderedElementsAre("binary_tensor_data", "model_configuration",
                                   "parameters", "schedule_policy", "sequence",
                                   "statistics"));
}

TEST_F(InferenceMethodsTest, ReadinessIsThatOfReadyz) {
  server_.Signal(SIGTERM);
  while (server_.Get("/readyz") != "") absl::SleepFor(absl::Milliseconds(10));
  EXPECT_FALSE((Get(&Stub::ServerReady).ready()));
  EXPECT_TRUE((Get(&Stub::ServerLive).live()));
  inference::ModelReadyRequest request;
  request.set_name("attention");
  EXPECT_FALSE((Get(&Stub::ModelReady, request).ready()));
  inference::RepositoryIndexRequest all;
  const auto index = Get(&Stub::RepositoryIndex, all);
  ASSERT_EQ(index.models_size(), 2);
  EXPECT_EQ(index.models(0).state(), "UNAVAILABLE");
  EXPECT_EQ(MustInfer(ToInferRequest(MakeCase({}))).outputs_size(), 2)
      << "calls are still accepted";
}

TEST_F(InferenceMethodsTest, ModelsAreReadyAndOthersAreNot) {
  for (const auto& [name, version, is_ready] :
       {std::tuple("attention", "", true),
        std::tuple("attention_kv", "1", true),
        std::tuple("attention", "2", false), std::tuple("other", "", false)}) {
    inference::ModelReadyRequest request;
    request.set_name(name);
    request.set_version(version);
    EXPECT_EQ((Get(&Stub::ModelReady, request).ready()), is_ready)
        << name << " " << version;
  }
}

TEST_F(InferenceMethodsTest, ModelsAreDescribed) {
  inference::ModelMetadataRequest metadata;
  metadata.set_name("attention");
  const auto model = Get(&Stub::ModelMetadata, metadata);
  EXPECT_EQ(model.inputs_size(), 5);
  EXPECT_EQ(model.outputs_size(), 2);
  inference::ModelConfigRequest config;
  config.set_name("attention");
  EXPECT_TRUE(
      (Get(&Stub::ModelConfig, config).config().has_dynamic_batching()));
  config.set_name("attention_kv");
  EXPECT_TRUE(
      (Get(&Stub::ModelConfig, config).config().has_sequence_batching()));
}

TEST_F(InferenceMethodsTest, UnknownModelsAreNotFound) {
  inference::ModelMetadataRequest metadata;
  metadata.set_name("other");
  inference::ModelMetadataResponse metadata_response;
  const grpc::Status status =
      Call(&Stub::ModelMetadata, metadata, metadata_response);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(),
            "model_name must be attention, attention_kv or layer:<name> of a "
            "loaded layer; got \"other\"");
  inference::ModelConfigRequest config;
  inference::ModelConfigResponse config_response;
  EXPECT_EQ(Call(&Stub::ModelConfig, config, config_response).error_code(),
            StatusCode::NOT_FOUND);
  inference::ModelStatisticsRequest statistics;
  statistics.set_name("other");
  inference::ModelStatisticsResponse statistics_response;
  EXPECT_EQ(Call(&Stub::ModelStatistics, statistics, statistics_response)
                .error_code(),
            StatusCode::NOT_FOUND);
}

TEST_F(InferenceMethodsTest, StatisticsWithoutANameAreOfAllModels) {
  const auto all = Get(&Stub::ModelStatistics);
  ASSERT_EQ(all.model_stats_size(), 2);
  EXPECT_EQ(all.model_stats(0).name(), "attention");
  EXPECT_EQ(all.model_stats(1).name(), "attention_kv");
}

TEST_F(InferenceMethodsTest, IndexListsTheModelsOfTheOneRepository) {
  inference::RepositoryIndexRequest request;
  request.set_ready(true);
  const auto index = Get(&Stub::RepositoryIndex, request);
  std::vector<std::string> models;
  for (const auto& model : index.models()) {
    models.push_back(model.name() + " " + model.version() + " " +
                     model.state());
  }
  EXPECT_THAT(models, ElementsAre("attention 1 READY", "attention_kv 1 READY"));
  request.set_repository_name("r");
  inference::RepositoryIndexResponse response;
  EXPECT_EQ(Call(&Stub::RepositoryIndex, request, response).error_code(),
            StatusCode::INVALID_ARGUMENT);
}

TEST_F(InferenceMethodsTest, WhatIsNotServedSaysSo) {
  Get(&Stub::SystemSharedMemoryUnregister);
  Get(&Stub::CudaSharedMemoryUnregister);
  ExpectUnimplemented(&Stub::RepositoryModelLoad);
  ExpectUnimplemented(&Stub::RepositoryModelUnload);
  ExpectUnimplemented(&Stub::SystemSharedMemoryStatus);
  ExpectUnimplemented(&Stub::SystemSharedMemoryRegister);
  ExpectUnimplemented(&Stub::CudaSharedMemoryStatus);
  ExpectUnimplemented(&Stub::CudaSharedMemoryRegister);
  ExpectUnimplemented(&Stub::TraceSetting);
  ExpectUnimplemented(&Stub::LogSettings);
}

TEST_F(InferenceMethodsTest, EveryMethodHasItsSeriesFromTheStart) {
  const auto started =
      server_.Metrics().SumBy("grpc_server_started_total", "grpc_method");
  const auto* service =
      inference::ModelInferRequest::descriptor()->file()->service(0);
  for (int i = 0; i < service->method_count(); ++i) {
    const auto found = started.find(service->method(i)->name());
    ASSERT_NE(found, started.end()) << service->method(i)->name();
    EXPECT_EQ(found->second, 0);
  }
}

}  // namespace
}  // namespace attn::test
