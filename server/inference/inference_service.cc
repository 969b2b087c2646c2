#include "server/inference/inference_service.h"

#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/direct_answer.h"
#include "server/inference/infer_call.h"
#include "server/inference/infer_stream_call.h"
#include "server/inference/served_model.h"

namespace attn {
namespace {

constexpr std::string_view kNoLoading =
    "models are not loaded here; attn.v1.LayerService loads layers";
constexpr std::string_view kNoSharedMemory =
    "no memory that clients name is shared; attn.v1 has Tensor.shared";
constexpr std::string_view kNoTracing =
    "tracing is not served; /metrics has a histogram of every stage";
constexpr std::string_view kNoLogSettings =
    "log settings are the flags --log-level and --log-format";

// Empty: every model.
absl::StatusOr<std::vector<ServedModel>> FindModels(
    const LayerStore& layers, const std::string& name,
    const std::string& version) {
  if (name.empty()) return AllServed(layers);
  ATTN_ASSIGN_OR_RETURN(ServedModel model, FindServed(layers, name, version));
  return std::vector<ServedModel>{std::move(model)};
}

}  // namespace

InferenceService::Reactor* InferenceService::Answer(Call& call,
                                                    RpcMethod method,
                                                    const Handler& answer) {
  return gate_.Enter<Reactor>(
      method, call, [&](const InferenceContext& context, Tenant&) {
        return AnswerDirectly(context.attend, method, call,
                              [&] { return answer(context); });
      });
}

InferenceService::Reactor* InferenceService::Refuse(Call& call,
                                                    RpcMethod method,
                                                    std::string_view why) {
  return Answer(call, method, [&](const InferenceContext&) {
    return MakeError(absl::StatusCode::kUnimplemented, Reason::kNotServed, why);
  });
}

InferenceService::Reactor* InferenceService::ModelInfer(
    Call* call, const grpc::ByteBuffer* request, grpc::ByteBuffer* response) {
  return gate_.Enter<Reactor>(
      RpcMethod::kModelInfer, *call,
      [&](const InferenceContext& context, Tenant& tenant) {
        auto* reactor = new InferCall(context, tenant, *call, *response);
        reactor->Run(*request);
        return reactor;
      });
}

InferenceService::Stream* InferenceService::ModelStreamInfer(Call* call) {
  return gate_.Enter<Stream>(
      RpcMethod::kModelStreamInfer, *call,
      [&](const InferenceContext& context, Tenant& tenant) {
        return new InferStreamCall(context, tenant, *call);
      });
}

InferenceService::Reactor* InferenceService::ServerLive(
    Call* call, const inference::ServerLiveRequest*,
    inference::ServerLiveResponse* response) {
  return Answer(*call, RpcMethod::kServerLive, [&](const InferenceContext&) {
    response->set_live(true);
    return absl::OkStatus();
  });
}

InferenceService::Reactor* InferenceService::ServerReady(
    Call* call, const inference::ServerReadyRequest*,
    inference::ServerReadyResponse* response) {
  return Answer(*call, RpcMethod::kServerReady,
                [&](const InferenceContext& context) {
                  response->set_ready(context.is_ready());
                  return absl::OkStatus();
                });
}

InferenceService::Reactor* InferenceService::ServerMetadata(
    Call* call, const inference::ServerMetadataRequest*,
    inference::ServerMetadataResponse* response) {
  return Answer(
      *call, RpcMethod::kServerMetadata, [&](const InferenceContext&) {
        response->set_name("attnserve");
        response->set_version(version_);
        for (const char* extension :
             {"binary_tensor_data", "model_configuration", "parameters",
              "schedule_policy", "sequence", "statistics"}) {
          response->add_extensions(extension);
        }
        return absl::OkStatus();
      });
}

InferenceService::Reactor* InferenceService::ModelReady(
    Call* call, const inference::ModelReadyRequest* request,
    inference::ModelReadyResponse* response) {
  return Answer(
      *call, RpcMethod::kModelReady, [&](const InferenceContext& context) {
        response->set_ready(
            FindServed(context.layers, request->name(), request->version())
                .ok() &&
            context.is_ready());
        return absl::OkStatus();
      });
}

InferenceService::Reactor* InferenceService::ModelMetadata(
    Call* call, const inference::ModelMetadataRequest* request,
    inference::ModelMetadataResponse* response) {
  return Answer(
      *call, RpcMethod::kModelMetadata,
      [&](const InferenceContext& context) -> absl::Status {
        ATTN_ASSIGN_OR_RETURN(
            const ServedModel model,
            FindServed(context.layers, request->name(), request->version()));
        *response = DescribeModel(model);
        return absl::OkStatus();
      });
}

InferenceService::Reactor* InferenceService::ModelConfig(
    Call* call, const inference::ModelConfigRequest* request,
    inference::ModelConfigResponse* response) {
  return Answer(
      *call, RpcMethod::kModelConfig,
      [&](const InferenceContext& context) -> absl::Status {
        ATTN_ASSIGN_OR_RETURN(
            const ServedModel model,
            FindServed(context.layers, request->name(), request->version()));
        *response->mutable_config() = DescribeConfig(model, context.limits);
        return absl::OkStatus();
      });
}

InferenceService::Reactor* InferenceService::ModelStatistics(
    Call* call, const inference::ModelStatisticsRequest* request,
    inference::ModelStatisticsResponse* response) {
  return Answer(
      *call, RpcMethod::kModelStatistics,
      [&](const InferenceContext& context) -> absl::Status {
        ATTN_ASSIGN_OR_RETURN(
            const std::vector<ServedModel> models,
            FindModels(context.layers, request->name(), request->version()));
        for (const ServedModel& model : models) {
          *response->add_model_stats() = context.statistics.Read(model.name);
        }
        return absl::OkStatus();
      });
}

InferenceService::Reactor* InferenceService::RepositoryIndex(
    Call* call, const inference::RepositoryIndexRequest* request,
    inference::RepositoryIndexResponse* response) {
  return Answer(*call, RpcMethod::kRepositoryIndex,
                [&](const InferenceContext& context) -> absl::Status {
                  if (!request->repository_name().empty()) {
                    return InvalidOption(
                        "repository_name",
                        "must be empty: there is one repository", "a name");
                  }
                  const bool is_ready = context.is_ready();
                  for (const ServedModel& model : AllServed(context.layers)) {
                    if (request->ready() && !is_ready) continue;
                    auto& entry = *response->add_models();
                    entry.set_name(model.name);
                    entry.set_version(std::string(kModelVersion));
                    entry.set_state(is_ready ? "READY" : "UNAVAILABLE");
                    if (!is_ready)
                      entry.set_reason("the server starts or drains");
                  }
                  return absl::OkStatus();
                });
}

InferenceService::Reactor* InferenceService::SystemSharedMemoryUnregister(
    Call* call, const inference::SystemSharedMemoryUnregisterRequest*,
    inference::SystemSharedMemoryUnregisterResponse*) {
  return Answer(*call, RpcMethod::kSystemSharedMemoryUnregister,
                [](const InferenceContext&) { return absl::OkStatus(); });
}

InferenceService::Reactor* InferenceService::CudaSharedMemoryUnregister(
    Call* call, const inference::CudaSharedMemoryUnregisterRequest*,
    inference::CudaSharedMemoryUnregisterResponse*) {
  return Answer(*call, RpcMethod::kCudaSharedMemoryUnregister,
                [](const InferenceContext&) { return absl::OkStatus(); });
}

InferenceService::Reactor* InferenceService::RepositoryModelLoad(
    Call* call, const inference::RepositoryModelLoadRequest*,
    inference::RepositoryModelLoadResponse*) {
  return Refuse(*call, RpcMethod::kRepositoryModelLoad, kNoLoading);
}

InferenceService::Reactor* InferenceService::RepositoryModelUnload(
    Call* call, const inference::RepositoryModelUnloadRequest*,
    inference::RepositoryModelUnloadResponse*) {
  return Refuse(*call, RpcMethod::kRepositoryModelUnload, kNoLoading);
}

InferenceService::Reactor* InferenceService::SystemSharedMemoryStatus(
    Call* call, const inference::SystemSharedMemoryStatusRequest*,
    inference::SystemSharedMemoryStatusResponse*) {
  return Refuse(*call, RpcMethod::kSystemSharedMemoryStatus, kNoSharedMemory);
}

InferenceService::Reactor* InferenceService::SystemSharedMemoryRegister(
    Call* call, const inference::SystemSharedMemoryRegisterRequest*,
    inference::SystemSharedMemoryRegisterResponse*) {
  return Refuse(*call, RpcMethod::kSystemSharedMemoryRegister, kNoSharedMemory);
}

InferenceService::Reactor* InferenceService::CudaSharedMemoryStatus(
    Call* call, const inference::CudaSharedMemoryStatusRequest*,
    inference::CudaSharedMemoryStatusResponse*) {
  return Refuse(*call, RpcMethod::kCudaSharedMemoryStatus, kNoSharedMemory);
}

InferenceService::Reactor* InferenceService::CudaSharedMemoryRegister(
    Call* call, const inference::CudaSharedMemoryRegisterRequest*,
    inference::CudaSharedMemoryRegisterResponse*) {
  return Refuse(*call, RpcMethod::kCudaSharedMemoryRegister, kNoSharedMemory);
}

InferenceService::Reactor* InferenceService::TraceSetting(
    Call* call, const inference::TraceSettingRequest*,
    inference::TraceSettingResponse*) {
  return Refuse(*call, RpcMethod::kTraceSetting, kNoTracing);
}

InferenceService::Reactor* InferenceService::LogSettings(
    Call* call, const inference::LogSettingsRequest*,
    inference::LogSettingsResponse*) {
  return Refuse(*call, RpcMethod::kLogSettings, kNoLogSettings);
}

}  // namespace attn
