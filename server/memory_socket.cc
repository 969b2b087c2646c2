#include "server/memory_socket.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "attn/v1/shared_memory.pb.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "server/unix_socket.h"

namespace attn {
namespace {

// A RegionRequest has a number and a token of at most 4096 bytes.
constexpr size_t kMaxPacketBytes = 4352;
// While the process has no descriptor left for a client that knocks.
constexpr absl::Duration kBreath = absl::Milliseconds(100);

v1::RegionGrant Refusal(const absl::Status& status) {
  v1::RegionGrant grant;
  grant.mutable_status()->set_code(static_cast<int>(status.code()));
  grant.mutable_status()->set_message(PublicMessage(status));
  return grant;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MemorySocket>> MemorySocket::Start(
    const std::string& path, SharedMemory& memory, Admit admit) {
  ATTN_ASSIGN_OR_RETURN(Descriptor listener, ListenForPackets(path));
  Descriptor stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.is_open()) {
    return absl::ErrnoToStatus(errno, "no descriptor to stop listening by");
  }
  return std::unique_ptr<MemorySocket>(new MemorySocket(
      path, std::move(listener), std::move(stop), memory, std::move(admit)));
}

MemorySocket::MemorySocket(std::string path, Descriptor listener,
                           Descriptor stop, SharedMemory& memory, Admit admit)
    : path_(std::move(path)),
      listener_(std::move(listener)),
      stop_(std::move(stop)),
      memory_(memory),
      admit_(std::move(admit)),
      thread_([this] { Serve(); }) {}

MemorySocket::~MemorySocket() {
  const uint64_t one = 1;
  // An eventfd that was never written to takes one write without fail.
  [[maybe_unused]] const ssize_t written =
      write(stop_.get(), &one, sizeof(one));
  thread_.join();
  unlink(path_.c_str());
  for (const Connection& connection : connections_) {
    memory_.Close(connection.region_id);
  }
}

void MemorySocket::Serve() {
  while (true) {
    std::vector<pollfd> polled{{stop_.get(), POLLIN, 0},
                               {listener_.get(), POLLIN, 0}};
    for (const Connection& connection : connections_) {
      polled.push_back({connection.socket.get(), POLLIN, 0});
    }
    if (poll(polled.data(), polled.size(), -1) < 0) continue;  // EINTR.
    if (polled[0].revents != 0) return;
    for (size_t i = 0; i < connections_.size(); ++i) {
      const bool is_over =
          polled[i + 2].revents != 0 && !HandlePacket(connections_[i]);
      if (is_over) connections_[i].socket = {};
    }
    std::erase_if(connections_, [](const Connection& connection) {
      return !connection.socket.is_open();
    });
    if (polled[1].revents != 0) Accept();
  }
}

void MemorySocket::Accept() {
  Descriptor client = AcceptClient(listener_);
  if (!client.is_open()) {
    absl::SleepFor(kBreath);
  } else if (connections_.size() < kMaxConnections) {
    connections_.push_back({.socket = std::move(client)});
  }
}

bool MemorySocket::HandlePacket(Connection& connection) {
  const std::optional<std::string> packet =
      ReceivePacket(connection.socket, kMaxPacketBytes);
  if (packet.has_value() && packet->empty()) return true;
  const bool asks = packet.has_value() && connection.region_id.empty();
  if (asks && Answer(*packet, connection)) return true;
  memory_.Close(connection.region_id);
  return false;
}

bool MemorySocket::Answer(const std::string& request, Connection& connection) {
  v1::RegionRequest wanted;
  if (!wanted.ParseFromString(request)) return false;
  const absl::Status admitted = admit_(wanted.token());
  const absl::StatusOr<SharedMemory::Grant> opened =
      admitted.ok() ? memory_.Open(wanted.size()) : admitted;
  if (!opened.ok()) {
    SendPacket(connection.socket, Refusal(opened.status()).SerializeAsString(),
               -1);
    return false;
  }
  connection.region_id = opened->region_id;
  v1::RegionGrant grant;
  grant.set_region_id(opened->region_id);
  grant.set_size(wanted.size());
  SendPacket(connection.socket, grant.SerializeAsString(),
             opened->region->fd());
  return true;
}

}  // namespace attn
