// `attnctl attend`: files -> request -> one call -> files, a summary and, if
// asked for, the weights or the largest of them.
#pragma once

#include "client/cpp/attnctl/attend_flags.h"
#include "client/cpp/client.h"

namespace attn::attnctl {

// What follows once there is a request; the exit code.
int SendAndShow(const AttendFlags& flags, const client::AttendRequest& request,
                client::Client& connected);

}  // namespace attn::attnctl
