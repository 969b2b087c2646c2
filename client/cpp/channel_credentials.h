// TlsOptions as gRPC has them. Internal to the client.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "client/cpp/options.h"

namespace attn::client {

// Credentials for a channel with these options, plain text for none; what
// belongs to them among the channel's arguments is put there. INVALID_ARGUMENT
// for half of a client's identity.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const std::optional<TlsOptions>& tls, grpc::ChannelArguments& arguments);

}  // namespace attn::client
