#include "server/rpc_method.h"

namespace attn {
namespace {

constexpr std::string_view kAttention = "attn.v1.AttentionService";
constexpr std::string_view kSession = "attn.v1.SessionService";
constexpr std::string_view kLayer = "attn.v1.LayerService";
constexpr std::string_view kHealth = "grpc.health.v1.Health";
constexpr std::string_view kInference = "inference.GRPCInferenceService";

// In the order of RpcMethod.
constexpr std::array<RpcMethodFacts, kNumRpcMethods> kMethods{{
    {kAttention, "Attend", "unary", true},
    {kAttention, "AttendBatch", "unary", true},
    {kAttention, "AttendStream", "bidi_stream", true},
    {kSession, "CreateSession", "unary", false},
    {kSession, "ForkSession", "unary", false},
    {kSession, "TruncateSession", "unary", false},
    {kSession, "AppendKv", "unary", true},
    {kSession, "GetSession", "unary", false},
    {kSession, "ListSessions", "unary", false},
    {kSession, "DeleteSession", "unary", false},
    {kSession, "ExportSession", "server_stream", false},
    {kSession, "ImportSession", "client_stream", false},
    {kLayer, "ListLayers", "unary", false},
    {kLayer, "GetLayer", "unary", false},
    {kLayer, "Forward", "unary", true},
    {kLayer, "ForwardBatch", "unary", true},
    {kLayer, "LoadLayer", "unary", false},
    {kLayer, "UnloadLayer", "unary", false},
    {kHealth, "Check", "unary", false},
    {kHealth, "Watch", "server_stream", false},
    {kInference, "ServerLive", "unary", false},
    {kInference, "ServerReady", "unary", false},
    {kInference, "ModelReady", "unary", false},
    {kInference, "ServerMetadata", "unary", false},
    {kInference, "ModelMetadata", "unary", false},
    {kInference, "ModelInfer", "unary", true},
    {kInference, "ModelStreamInfer", "bidi_stream", true},
    {kInference, "ModelConfig", "unary", false},
    {kInference, "ModelStatistics", "unary", false},
    {kInference, "RepositoryIndex", "unary", false},
    {kInference, "RepositoryModelLoad", "unary", false},
    {kInference, "RepositoryModelUnload", "unary", false},
    {kInference, "SystemSharedMemoryStatus", "unary", false},
    {kInference, "SystemSharedMemoryRegister", "unary", false},
    {kInference, "SystemSharedMemoryUnregister", "unary", false},
    {kInference, "CudaSharedMemoryStatus", "unary", false},
    {kInference, "CudaSharedMemoryRegister", "unary", false},
    {kInference, "CudaSharedMemoryUnregister", "unary", false},
    {kInference, "TraceSetting", "unary", false},
    {kInference, "LogSettings", "unary", false},
}};

constexpr std::array<std::string_view, kNumGrpcCodes> kCodeNames{
    "OK",
    "Cancelled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated"};

}  // namespace

const RpcMethodFacts& FactsOf(RpcMethod method) {
  return kMethods[static_cast<size_t>(method)];
}

std::string_view GrpcCodeName(int code) {
  const bool is_code = code >= 0 && code < kNumGrpcCodes;
  return kCodeNames[static_cast<size_t>(is_code ? code : kUnknownGrpcCode)];
}

}  // namespace attn
