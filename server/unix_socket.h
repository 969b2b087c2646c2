// Unix sockets of packets (SOCK_SEQPACKET): what MemorySocket listens on. None
// of these blocks.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/descriptor.h"

namespace attn {

// Listens at `path`, for this user and group alone. Takes the place of a socket
// file that nobody listens at. INVALID_ARGUMENT for a path that no socket can
// have, UNAVAILABLE for one that cannot be listened at.
absl::StatusOr<Descriptor> ListenForPackets(const std::string& path);

// A client that connected; none if there is none or the system refuses.
Descriptor AcceptClient(const Descriptor& listener);

// The next packet, "" for none yet; nothing once the other side has hung up or
// sent more than `max_bytes` at once.
std::optional<std::string> ReceivePacket(const Descriptor& socket,
                                         size_t max_bytes);

// With the descriptor `fd` unless that is negative. A client that does not take
// it is not waited for.
void SendPacket(const Descriptor& socket, std::string packet, int fd);

}  // namespace attn
