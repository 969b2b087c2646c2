// Who makes a call, as far as the server is concerned. Made by Access alone,
// from the call's credentials; a handler gets it with the right to work
// (gate.h).
#pragma once

#include <string>

namespace attn {

struct Caller {
  // Whom sessions and quotas belong to. Empty where no credentials are asked
  // for: everybody is the same tenant then.
  std::string tenant;
};

}  // namespace attn
