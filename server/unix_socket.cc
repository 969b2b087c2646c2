#include "server/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

Descriptor MakeSocket() {
  return Descriptor(
      socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("a socket's path must have 1 to ",
                     sizeof(address.sun_path) - 1, " bytes; got ", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

const sockaddr* Generic(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

// The file that a server left behind when it was killed.
void RemoveStale(const std::string& path, const sockaddr_un& address) {
  const Descriptor probe = MakeSocket();
  const bool answers =
      connect(probe.get(), Generic(address), sizeof(address)) == 0;
  if (!answers && errno == ECONNREFUSED) unlink(path.c_str());
}

}  // namespace

absl::StatusOr<Descriptor> ListenForPackets(const std::string& path) {
  ATTN_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  RemoveStale(path, address);
  Descriptor listener = MakeSocket();
  // Nobody can connect before listen.
  if (bind(listener.get(), Generic(address), sizeof(address)) != 0 ||
      chmod(path.c_str(), S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) != 0 ||
      listen(listener.get(), SOMAXCONN) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", path, ": ", std::strerror(errno)));
  }
  return listener;
}

Descriptor AcceptClient(const Descriptor& listener) {
  return Descriptor(
      accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
}

std::optional<std::string> ReceivePacket(const Descriptor& socket,
                                         size_t max_bytes) {
  std::string packet(max_bytes, '\0');
  const ssize_t size =
      recv(socket.get(), packet.data(), packet.size(), MSG_TRUNC);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return "";
  if (size <= 0 || static_cast<size_t>(size) > max_bytes) return std::nullopt;
  packet.resize(static_cast<size_t>(size));
  return packet;
}

void SendPacket(const Descriptor& socket, std::string packet, int fd) {
  iovec data{packet.data(), packet.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(fd))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fd));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  }
  sendmsg(socket.get(), &message, MSG_NOSIGNAL);
}

}  // namespace attn
