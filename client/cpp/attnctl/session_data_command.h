// `attnctl session append` and `session attend`, which send tensors; the other
// sub-commands are in session_command.cc.
#pragma once

#include "client/cpp/attnctl/session_flags.h"
#include "client/cpp/client.h"

namespace attn::attnctl {

// Each gives the exit code.
int RunSessionAppend(const SessionAppendFlags& flags,
                     client::Client& connected);
int RunSessionAttend(const SessionAttendFlags& flags,
                     client::Client& connected);

}  // namespace attn::attnctl
