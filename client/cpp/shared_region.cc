#include "client/cpp/shared_region.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "attn/v1/shared_memory.pb.h"
#include "client/cpp/error_details.h"

namespace attn::client {
namespace {

namespace pb = attn::v1;

// A refusal's text is at most 1024 characters.
constexpr size_t kMaxGrantBytes = 4096;

struct Answer {
  pb::RegionGrant grant;
  Descriptor file;
};

absl::Status Unavailable(const std::string& socket_path,
                         std::string_view what) {
  return absl::UnavailableError(
      absl::StrCat("shared memory at ", socket_path, ": ", std::string(what)));
}

absl::StatusOr<Descriptor> Connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket_path must have 1 to ",
                     sizeof(address.sun_path) - 1, " bytes; got ", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  Descriptor connection(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (connect(connection.get(), reinterpret_cast<const sockaddr*>(&address),
              sizeof(address)) != 0) {
    return Unavailable(path, std::strerror(errno));
  }
  return connection;
}

// The descriptor that came with a packet; none if none did.
Descriptor ReceivedFile(msghdr& message) {
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return {};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return Descriptor(fd);
}

// The server's answer; nothing if it hung up or sent something else.
std::optional<Answer> Receive(const Descriptor& connection) {
  std::array<char, kMaxGrantBytes> packet{};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec data{packet.data(), packet.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = recvmsg(connection.get(), &message, MSG_CMSG_CLOEXEC);
  Answer answer{.grant = {}, .file = ReceivedFile(message)};
  if (size <= 0 ||
      !answer.grant.ParseFromArray(packet.data(), static_cast<int>(size))) {
    return std::nullopt;
  }
  return answer;
}

absl::StatusOr<Answer> Ask(const std::string& socket_path,
                           const Descriptor& connection,
                           const pb::RegionRequest& request,
                           absl::Duration timeout) {
  const std::string text = request.SerializeAsString();
  pollfd polled{connection.get(), POLLIN, 0};
  if (send(connection.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0 ||
      poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) !=
          1) {
    return Unavailable(socket_path, "no answer");
  }
  std::optional<Answer> answer = Receive(connection);
  if (!answer.has_value()) {
    return Unavailable(socket_path, "the server hung up");
  }
  return *std::move(answer);
}

}  // namespace

absl::StatusOr<std::shared_ptr<SharedRegion>> SharedRegion::Open(
    const std::string& socket_path, int64_t bytes, absl::Duration timeout,
    const std::string& token) {
  if (bytes <= 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("bytes must be at least 1; got ", bytes));
  }
  absl::StatusOr<Descriptor> connection = Connect(socket_path);
  if (!connection.ok()) {
    return connection.status();
  }
  pb::RegionRequest request;
  request.set_size(static_cast<uint64_t>(bytes));
  request.set_token(token);
  absl::StatusOr<Answer> answer =
      Ask(socket_path, *connection, request, timeout);
  if (!answer.ok()) {
    return answer.status();
  }
  const pb::RegionGrant& grant = answer->grant;
  if (grant.has_status()) {
    return MakeStatus(grant.status().code(), grant.status().message(), "");
  }
  if (grant.size() != static_cast<uint64_t>(bytes) || !answer->file.is_open()) {
    return Unavailable(socket_path, "an answer without its region");
  }
  void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                    MAP_SHARED, answer->file.get(), 0);
  if (data == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("shared memory cannot be mapped: ", std::strerror(errno)));
  }
  return std::shared_ptr<SharedRegion>(
      new SharedRegion(*std::move(connection), static_cast<std::byte*>(data),
                       bytes, grant.region_id()));
}

SharedRegion::SharedRegion(Descriptor connection, std::byte* data, int64_t size,
                           std::string id)
    : connection_(std::move(connection)),
      data_(data),
      size_(size),
      id_(std::move(id)) {}

SharedRegion::~SharedRegion() { munmap(data_, static_cast<size_t>(size_)); }

absl::StatusOr<Tensor> SharedRegion::Place(DType dtype, Shape shape,
                                           int64_t offset) const {
  const absl::StatusOr<int64_t> elements = NumElements(shape);
  if (!elements.ok()) {
    return elements.status();
  }
  const auto element_bytes = static_cast<int64_t>(ElementBytes(dtype));
  if (element_bytes == 0) {
    return absl::InvalidArgumentError("a tensor must have a dtype");
  }
  if (offset < 0 || offset > size_ ||
      *elements > (size_ - offset) / element_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        std::string(DTypeName(dtype)), " ", ShapeText(shape), " at offset ",
        offset, " must lie within the region of ", size_, " bytes"));
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data_ + offset),
                               static_cast<size_t>(*elements * element_bytes));
  return Tensor::InSharedMemory(
      dtype, std::move(shape), shared_from_this(), bytes,
      {.region_id = id_, .offset = static_cast<uint64_t>(offset)});
}

}  // namespace attn::client
