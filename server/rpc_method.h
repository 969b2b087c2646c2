// Every method that the server answers, as the labels of its metrics.
#pragma once

#include <array>
#include <string_view>

namespace attn {

enum class RpcMethod {
  kAttend,
  kAttendBatch,
  kAttendStream,
  kCreateSession,
  kForkSession,
  kTruncateSession,
  kAppendKv,
  kGetSession,
  kListSessions,
  kDeleteSession,
  kExportSession,
  kImportSession,
  kListLayers,
  kGetLayer,
  kForward,
  kForwardBatch,
  kLoadLayer,
  kUnloadLayer,
  kHealthCheck,
  kHealthWatch,
  kServerLive,
  kServerReady,
  kModelReady,
  kServerMetadata,
  kModelMetadata,
  kModelInfer,
  kModelStreamInfer,
  kModelConfig,
  kModelStatistics,
  kRepositoryIndex,
  kRepositoryModelLoad,
  kRepositoryModelUnload,
  kSystemSharedMemoryStatus,
  kSystemSharedMemoryRegister,
  kSystemSharedMemoryUnregister,
  kCudaSharedMemoryStatus,
  kCudaSharedMemoryRegister,
  kCudaSharedMemoryUnregister,
  kTraceSetting,
  kLogSettings,
};
inline constexpr int kNumRpcMethods = 40;

struct RpcMethodFacts {
  std::string_view service;  // "attn.v1.AttentionService"
  std::string_view method;   // "Attend"
  std::string_view type;  // unary, client_stream, server_stream or bidi_stream.
  bool carries_tensors;   // Counts in attn_request_bytes and its kin.
};

const RpcMethodFacts& FactsOf(RpcMethod method);

// gRPC's status codes run from 0 (OK) to 16 (Unauthenticated).
inline constexpr int kNumGrpcCodes = 17;
inline constexpr int kUnknownGrpcCode = 2;

// "ResourceExhausted" for 8; "Unknown" for a number that is no code.
std::string_view GrpcCodeName(int code);

}  // namespace attn
