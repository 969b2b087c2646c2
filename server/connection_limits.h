// What gRPC grants to connections: streams, age, idle time, pings, metadata and
// memory. All of it holds before a handler sees a byte, so it is what stands
// between a client that means harm and the server (SECURITY.md).
#pragma once

#include "server/config.h"

namespace grpc {
class ServerBuilder;
}

namespace attn {

// Sets what `config` says about connections and messages.
void BoundConnections(const ServerConfig& config, grpc::ServerBuilder& builder);

}  // namespace attn
