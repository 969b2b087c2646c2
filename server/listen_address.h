// Addresses as flags give them: "127.0.0.1:8001", "localhost:0", "[::1]:8001",
// and "unix:/run/attn.sock" where the caller allows it.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace attn {

// Either a host and a port, or a socket file.
struct ListenAddress {
  std::string host{};       // Without brackets; empty for a socket file.
  int port = 0;             // 0: the system picks a free one.
  std::string unix_path{};  // Absolute; empty for host and port.

  bool is_unix() const { return !unix_path.empty(); }
  bool is_ipv6() const { return host.find(':') != std::string::npos; }
};

// INVALID_ARGUMENT whose message starts with the rule.
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text);

// The text again; IPv6 hosts get their brackets.
std::string FormatListenAddress(const ListenAddress& address);

// Where a client on the same machine reaches a server that listens on
// `address`: a wildcard host becomes the loopback one.
ListenAddress LoopbackOf(ListenAddress address);

}  // namespace attn
