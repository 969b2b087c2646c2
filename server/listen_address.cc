#include "server/listen_address.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/absl_view.h"
#include "server/units.h"

namespace attn {
namespace {

constexpr std::string_view kUnixScheme = "unix:";
// sockaddr_un has 108 bytes with the final zero.
constexpr size_t kMaxUnixPathLength = 107;

absl::Status Broken(std::string_view rule, std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat(AbslView(rule), "; got \"", AbslView(text), "\""));
}

absl::StatusOr<ListenAddress> ParseUnix(std::string_view text) {
  const std::string_view path = text.substr(kUnixScheme.size());
  if (path.empty() || path.front() != '/') {
    return Broken("must have an absolute path after unix:", text);
  }
  if (path.size() > kMaxUnixPathLength) {
    return Broken("must have a path of at most 107 bytes after unix:", text);
  }
  return ListenAddress{.unix_path = std::string(path)};
}

// The part before the last colon; brackets around an IPv6 host are required,
// since "::1" could as well be host ":" and port 1.
absl::StatusOr<std::string> ParseHost(std::string_view host,
                                      std::string_view text) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    return std::string(host.substr(1, host.size() - 2));
  }
  if (host.empty() || host.find_first_of(":[]/, \t") != host.npos) {
    return Broken("must be HOST:PORT, with an IPv6 host in brackets", text);
  }
  return std::string(host);
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text) {
  if (text.substr(0, kUnixScheme.size()) == kUnixScheme) return ParseUnix(text);
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return Broken("must be HOST:PORT", text);
  auto host = ParseHost(text.substr(0, colon), text);
  if (!host.ok()) return host.status();
  const auto port = ParseInteger(text.substr(colon + 1), {.max = 65535});
  if (!port.ok()) return Broken("must end in a port from 0 to 65535", text);
  return ListenAddress{.host = *std::move(host),
                       .port = static_cast<int>(*port)};
}

std::string FormatListenAddress(const ListenAddress& address) {
  if (address.is_unix()) return absl::StrCat("unix:", address.unix_path);
  if (address.is_ipv6()) {
    return absl::StrCat("[", address.host, "]:", address.port);
  }
  return absl::StrCat(address.host, ":", address.port);
}

ListenAddress LoopbackOf(ListenAddress address) {
  if (address.host == "0.0.0.0") address.host = "127.0.0.1";
  if (address.host == "::") address.host = "::1";
  return address;
}

}  // namespace attn
