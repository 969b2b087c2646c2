#include "client/cpp/attnctl/http_get.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace attn::attnctl {
namespace {

constexpr size_t kMaxResponseBytes = size_t{64} << 20;
constexpr std::string_view kLineEnd = "\r\n";

// Closes its descriptor.
class Socket {
 public:
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() {
    if (descriptor_ >= 0) {
      close(descriptor_);
    }
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

absl::Status SocketError(const std::string& address) {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINPROGRESS) {
    return absl::DeadlineExceededError(address + ": no answer in time");
  }
  return absl::UnavailableError(absl::ErrnoToStatus(errno, address).message());
}

absl::StatusOr<std::unique_ptr<Socket>> ConnectTo(const std::string& address,
                                                  absl::Duration timeout) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return absl::InvalidArgumentError("--http must be host:port; got \"" +
                                      address + "\"");
  }
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat(address, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found,
                                                                freeaddrinfo);
  const timeval limit = absl::ToTimeval(timeout);
  absl::Status last = absl::UnavailableError(address + ": no address");
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) {
    auto opened = std::make_unique<Socket>(
        socket(one->ai_family, one->ai_socktype, one->ai_protocol));
    const int descriptor = opened->descriptor();
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(descriptor, one->ai_addr, one->ai_addrlen) == 0) {
      return opened;
    }
    last = SocketError(address);
  }
  return last;
}

absl::StatusOr<std::string> ReceiveAll(int descriptor,
                                       const std::string& address) {
  std::string received;
  char chunk[16384];
  for (;;) {
    const ssize_t count = recv(descriptor, chunk, sizeof(chunk), 0);
    if (count == 0) {
      return received;
    }
    if (count < 0) {
      return SocketError(address);
    }
    received.append(chunk, static_cast<size_t>(count));
    if (received.size() > kMaxResponseBytes) {
      return absl::UnavailableError(address + ": the answer is too long");
    }
  }
}

// The value of a header, "" where it is absent.
std::string Header(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    const size_t end = head.find(kLineEnd);
    const std::string_view line = head.substr(0, end);
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos &&
        absl::AsciiStrToLower(std::string(line.substr(0, colon))) == name) {
      const std::string value(line.substr(colon + 1));
      return std::string(absl::StripAsciiWhitespace(value));
    }
    head = end == std::string_view::npos ? "" : head.substr(end + 2);
  }
  return "";
}

absl::Status CutShort() {
  return absl::UnavailableError("the HTTP answer was cut short");
}

bool ParseSize(std::string_view text, int base, size_t& size) {
  const auto result =
      std::from_chars(text.data(), text.data() + text.size(), size, base);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

absl::StatusOr<std::string> JoinChunks(std::string_view rest) {
  std::string body;
  for (;;) {
    const size_t end = rest.find(kLineEnd);
    size_t size = 0;
    if (end == std::string_view::npos ||
        !ParseSize(rest.substr(0, std::min(end, rest.find(';'))), 16, size)) {
      return CutShort();
    }
    if (size == 0) {
      return body;
    }
    rest.remove_prefix(end + 2);
    if (rest.size() < 2 || rest.size() - 2 < size) {
      return CutShort();
    }
    body.append(rest.substr(0, size));
    rest.remove_prefix(size + 2);
  }
}

absl::Status StatusError(std::string_view line) {
  const std::string message = "the HTTP answer was " + std::string(line);
  const std::string_view code = line.size() < 12 ? "" : line.substr(8, 4);
  if (code == " 401") {
    return absl::UnauthenticatedError(message);
  }
  if (code == " 403") {
    return absl::PermissionDeniedError(message);
  }
  return absl::InternalError(message);
}

}  // namespace

absl::StatusOr<std::string> ParseHttpResponse(std::string_view response) {
  const size_t head_end = response.find("\r\n\r\n");
  const size_t line_end = response.find(kLineEnd);
  if (head_end == std::string_view::npos || !response.starts_with("HTTP/1.")) {
    return CutShort();
  }
  const std::string_view line = response.substr(0, line_end);
  if (line.size() < 12 || line.substr(8, 4) != " 200") {
    return StatusError(line);
  }
  const std::string_view head = response.substr(
      line_end + 2, head_end - std::min(head_end, line_end + 2));
  const std::string_view body = response.substr(head_end + 4);
  if (absl::AsciiStrToLower(Header(head, "transfer-encoding")) == "chunked") {
    return JoinChunks(body);
  }
  size_t length = body.size();
  const std::string declared = Header(head, "content-length");
  if (!declared.empty() &&
      (!ParseSize(declared, 10, length) || length > body.size())) {
    return CutShort();
  }
  return std::string(body.substr(0, length));
}

absl::StatusOr<std::string> HttpGet(const std::string& address,
                                    const std::string& path,
                                    absl::Duration timeout,
                                    const std::string& token) {
  const absl::StatusOr<std::unique_ptr<Socket>> opened =
      ConnectTo(address, timeout);
  if (!opened.ok()) {
    return opened.status();
  }
  const std::string request = absl::StrCat(
      "GET ", path, " HTTP/1.1\r\nHost: ", address, "\r\nConnection: close\r\n",
      token.empty() ? "" : "Authorization: Bearer ", token,
      token.empty() ? "\r\n" : "\r\n\r\n");
  const int descriptor = (*opened)->descriptor();
  const ssize_t sent =
      send(descriptor, request.data(), request.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(request.size())) {
    return SocketError(address);
  }
  absl::StatusOr<std::string> response = ReceiveAll(descriptor, address);
  return response.ok() ? ParseHttpResponse(*response) : response.status();
}

}  // namespace attn::attnctl
