// The flags that say how attnctl makes itself known to a server, and whom it
// trusts to be one.
#pragma once

#include "client/cpp/attnctl/global_options.h"

namespace attn::attnctl {

// --tls, --tls-ca, --tls-certificate, --tls-key, --tls-server-name and
// --token-file. Parsing reads the files, and ATTNCTL_TOKEN where no file of a
// token is given; a file that cannot be read is a usage error. `globals` must
// outlive the parse.
void AddAccessFlags(CLI::App& app, GlobalOptions& globals);

}  // namespace attn::attnctl
