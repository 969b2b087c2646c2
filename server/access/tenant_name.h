// How tenants are called, whether a token file or a certificate names them.
#pragma once

#include <string_view>

namespace attn {

// 1 to 128 of A-Z, a-z, 0-9 and . _ : / @ -, the first a letter or digit, so
// that DNS names, mail addresses and URIs such as SPIFFE ids are names, and
// that a name can stand in a configuration file and in a log as it is.
bool IsTenantName(std::string_view name);

}  // namespace attn
