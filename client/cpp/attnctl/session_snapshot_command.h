// `attnctl session export` and `session import`: sessions to files and back.
#pragma once

#include "client/cpp/attnctl/session_flags.h"
#include "client/cpp/client.h"

namespace attn::attnctl {

// Each gives the exit code.
int RunSessionExport(const SessionExportFlags& flags,
                     client::Client& connected);
int RunSessionImport(const SessionImportFlags& flags,
                     client::Client& connected);

}  // namespace attn::attnctl
