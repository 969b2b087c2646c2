// The healthcheck sub-command: what a container's HEALTHCHECK runs, so that the
// image needs no other tool.
#pragma once

#include <ostream>

#include "server/command_line.h"

namespace attn {

// Asks the server for the health of "" and writes one line about it. Returns
// the exit code: 0 if it serves, 1 otherwise.
int RunHealthcheck(const HealthcheckOptions& options, std::ostream& out);

}  // namespace attn
