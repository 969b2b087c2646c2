// Which server a session is on, for clients without a proxy: rendezvous hashing
// (highest random weight). Every client with the same list of servers finds the
// same one, in any order of the list; where a server leaves the list, its
// sessions alone go elsewhere, and a new one takes its share alone. The Python
// client computes the same (client/rendezvous_vectors.tsv has examples). Pure
// functions but for ResolveAddresses: thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace attn::client {

// The part of a session's id that says where it is: all of it up to the first
// "--". A fork shares pages with its source, so it must be on the same server:
// name it "chat--draft" and it is where "chat" is. The proxies of deploy/ hash
// the same part.
std::string_view RoutingKey(std::string_view session_id);

// The weight of `server` for `routing_key`: FNV-1a (64 bit) of the bytes of
// `server`, a newline and `routing_key`, mixed by the finalizer of MurmurHash3,
// since FNV alone hardly moves the high bits of the last bytes.
uint64_t RendezvousWeight(std::string_view server,
                          std::string_view routing_key);

// Index of the server with the largest weight for the session's routing key; of
// equal weights the smaller name wins. REQUIRES: `servers` is not empty.
size_t OwnerOf(absl::Span<const std::string> servers,
               std::string_view session_id);

// "host:port" of every address that the name has, in order and once each:
// "attnserve-headless:8001" gives those of the servers behind a headless
// service. Where servers have names of their own that stay (StatefulSet), list
// these instead: an address changes when its server comes back. Blocks. Errors:
// INVALID_ARGUMENT for no "host:port", UNAVAILABLE where the name has no
// address now.
absl::StatusOr<std::vector<std::string>> ResolveAddresses(
    const std::string& target);

}  // namespace attn::client
