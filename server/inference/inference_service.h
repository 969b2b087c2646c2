// inference.GRPCInferenceService: the Open Inference Protocol, with the methods
// that Triton's clients and tools add. ModelInfer and ModelStreamInfer are
// registered raw, as all methods that carry tensors are (infer_call.h,
// infer_stream_call.h); the others use generated messages.
#pragma once

#include <functional>
#include <string>

#include "inference/grpc_service.grpc.pb.h"
#include "server/access/gate.h"
#include "server/inference/infer_flow.h"
#include "server/rpc_method.h"
#include "server/service_with.h"

namespace attn {

using InferenceProtocol = inference::GRPCInferenceService;
using InferenceServiceBase = ServiceWith<
    InferenceProtocol::Service,
    InferenceProtocol::WithRawCallbackMethod_ModelInfer,
    InferenceProtocol::WithRawCallbackMethod_ModelStreamInfer,
    InferenceProtocol::WithCallbackMethod_ServerLive,
    InferenceProtocol::WithCallbackMethod_ServerReady,
    InferenceProtocol::WithCallbackMethod_ModelReady,
    InferenceProtocol::WithCallbackMethod_ServerMetadata,
    InferenceProtocol::WithCallbackMethod_ModelMetadata,
    InferenceProtocol::WithCallbackMethod_ModelConfig,
    InferenceProtocol::WithCallbackMethod_ModelStatistics,
    InferenceProtocol::WithCallbackMethod_RepositoryIndex,
    InferenceProtocol::WithCallbackMethod_RepositoryModelLoad,
    InferenceProtocol::WithCallbackMethod_RepositoryModelUnload,
    InferenceProtocol::WithCallbackMethod_SystemSharedMemoryStatus,
    InferenceProtocol::WithCallbackMethod_SystemSharedMemoryRegister,
    InferenceProtocol::WithCallbackMethod_SystemSharedMemoryUnregister,
    InferenceProtocol::WithCallbackMethod_CudaSharedMemoryStatus,
    InferenceProtocol::WithCallbackMethod_CudaSharedMemoryRegister,
    InferenceProtocol::WithCallbackMethod_CudaSharedMemoryUnregister,
    InferenceProtocol::WithCallbackMethod_TraceSetting,
    InferenceProtocol::WithCallbackMethod_LogSettings>::Type;

// Thread-safe. Must outlive the grpc::Server that it is registered with.
class InferenceService final : public InferenceServiceBase {
 public:
  using Call = grpc::CallbackServerContext;
  using Reactor = grpc::ServerUnaryReactor;
  using Stream = grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>;

  // `version`: the server's.
  InferenceService(const Gate<InferenceContext>& gate, std::string version)
      : gate_(gate), version_(std::move(version)) {}

  Reactor* ModelInfer(Call* call, const grpc::ByteBuffer* request,
                      grpc::ByteBuffer* response) override;
  Stream* ModelStreamInfer(Call* call) override;

  Reactor* ServerLive(Call* call, const inference::ServerLiveRequest* request,
                      inference::ServerLiveResponse* response) override;
  Reactor* ServerReady(Call* call, const inference::ServerReadyRequest* request,
                       inference::ServerReadyResponse* response) override;
  Reactor* ServerMetadata(Call* call,
                          const inference::ServerMetadataRequest* request,
                          inference::ServerMetadataResponse* response) override;
  Reactor* ModelReady(Call* call, const inference::ModelReadyRequest* request,
                      inference::ModelReadyResponse* response) override;
  Reactor* ModelMetadata(Call* call,
                         const inference::ModelMetadataRequest* request,
                         inference::ModelMetadataResponse* response) override;
  Reactor* ModelConfig(Call* call, const inference::ModelConfigRequest* request,
                       inference::ModelConfigResponse* response) override;
  Reactor* ModelStatistics(
      Call* call, const inference::ModelStatisticsRequest* request,
      inference::ModelStatisticsResponse* response) override;
  Reactor* RepositoryIndex(
      Call* call, const inference::RepositoryIndexRequest* request,
      inference::RepositoryIndexResponse* response) override;

  // OK: nothing is registered.
  Reactor* SystemSharedMemoryUnregister(
      Call* call, const inference::SystemSharedMemoryUnregisterRequest* request,
      inference::SystemSharedMemoryUnregisterResponse* response) override;
  Reactor* CudaSharedMemoryUnregister(
      Call* call, const inference::CudaSharedMemoryUnregisterRequest* request,
      inference::CudaSharedMemoryUnregisterResponse* response) override;

  // UNIMPLEMENTED.
  Reactor* RepositoryModelLoad(
      Call* call, const inference::RepositoryModelLoadRequest* request,
      inference::RepositoryModelLoadResponse* response) override;
  Reactor* RepositoryModelUnload(
      Call* call, const inference::RepositoryModelUnloadRequest* request,
      inference::RepositoryModelUnloadResponse* response) override;
  Reactor* SystemSharedMemoryStatus(
      Call* call, const inference::SystemSharedMemoryStatusRequest* request,
      inference::SystemSharedMemoryStatusResponse* response) override;
  Reactor* SystemSharedMemoryRegister(
      Call* call, const inference::SystemSharedMemoryRegisterRequest* request,
      inference::SystemSharedMemoryRegisterResponse* response) override;
  Reactor* CudaSharedMemoryStatus(
      Call* call, const inference::CudaSharedMemoryStatusRequest* request,
      inference::CudaSharedMemoryStatusResponse* response) override;
  Reactor* CudaSharedMemoryRegister(
      Call* call, const inference::CudaSharedMemoryRegisterRequest* request,
      inference::CudaSharedMemoryRegisterResponse* response) override;
  Reactor* TraceSetting(Call* call,
                        const inference::TraceSettingRequest* request,
                        inference::TraceSettingResponse* response) override;
  Reactor* LogSettings(Call* call, const inference::LogSettingsRequest* request,
                       inference::LogSettingsResponse* response) override;

 private:
  using Handler = std::function<absl::Status(const InferenceContext&)>;

  // Runs `answer` for a caller that is let in, and ends the call with what it
  // says.
  Reactor* Answer(Call& call, RpcMethod method, const Handler& answer);
  Reactor* Refuse(Call& call, RpcMethod method, std::string_view why);

  const Gate<InferenceContext> gate_;
  const std::string version_;
};

}  // namespace attn
