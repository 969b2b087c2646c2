// `attnctl attend`: files -> request -> one call -> files, a summary and, if
// asked for, the weights or the largest of them.
#pragma once

#include <functional>

#include "absl/status/statusor.h"
#include "client/cpp/attnctl/attend_flags.h"
#include "client/cpp/client.h"

namespace attn::attnctl {

// Makes the call of a request that is there.
using AnswerCall = std::function<absl::StatusOr<client::AttendResponse>(
    const client::CallOptions&)>;

// What follows once there is a request; the exit code.
int SendAndShow(const AttendFlags& flags, const AnswerCall& call);
int SendAndShow(const AttendFlags& flags, const client::AttendRequest& request,
                client::Client& connected);

}  // namespace attn::attnctl
