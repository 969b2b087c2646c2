// What a gRPC call shows of who makes it.
#pragma once

#include "grpcpp/server_context.h"
#include "server/access/access.h"

namespace attn {

// Views of `call`. The holder of a client certificate is its first URI among
// the subject alternative names, else its first DNS name there, else its common
// name.
Credentials CredentialsOf(const grpc::CallbackServerContext& call);

}  // namespace attn
