// What is counted about credentials. Its names are the labels of the metrics.
#pragma once

#include <array>
#include <string_view>

namespace attn {

// Where somebody wanted to come in.
enum class AccessPoint { kGrpc, kHttp, kSharedMemory };
inline constexpr std::array<std::string_view, 3> kAccessPointNames{
    "grpc", "http", "shared_memory"};

// What is read again while the server runs.
enum class CredentialFiles { kTls, kTokens };
inline constexpr std::array<std::string_view, 2> kCredentialFilesNames{
    "tls", "tokens"};

}  // namespace attn
