#include "client/cpp/rendezvous.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#include <memory>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace attn::client {
namespace {

constexpr uint64_t kFnvOffset = 0xcbf29ce484222325;
constexpr uint64_t kFnvPrime = 0x100000001b3;

uint64_t Fnv1a(std::string_view bytes, uint64_t hash) {
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * kFnvPrime;
  }
  return hash;
}

uint64_t Mix(uint64_t hash) {
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33);
}

// The numeric form; "" for a family that is no IP.
std::string NumericHost(const sockaddr& address, socklen_t length) {
  char host[INET6_ADDRSTRLEN] = "";
  if (getnameinfo(&address, length, host, sizeof(host), nullptr, 0,
                  NI_NUMERICHOST) != 0) {
    return "";
  }
  return address.sa_family == AF_INET6 ? absl::StrCat("[", host, "]") : host;
}

}  // namespace

std::string_view RoutingKey(std::string_view session_id) {
  return session_id.substr(0, session_id.find("--"));
}

uint64_t RendezvousWeight(std::string_view server,
                          std::string_view routing_key) {
  return Mix(Fnv1a(routing_key, Fnv1a("\n", Fnv1a(server, kFnvOffset))));
}

size_t OwnerOf(absl::Span<const std::string> servers,
               std::string_view session_id) {
  const std::string_view key = RoutingKey(session_id);
  size_t owner = 0;
  uint64_t largest = RendezvousWeight(servers.front(), key);
  for (size_t i = 1; i < servers.size(); ++i) {
    const uint64_t weight = RendezvousWeight(servers[i], key);
    if (weight > largest ||
        (weight == largest && servers[i] < servers[owner])) {
      owner = i;
      largest = weight;
    }
  }
  return owner;
}

absl::StatusOr<std::vector<std::string>> ResolveAddresses(
    const std::string& target) {
  const size_t colon = target.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == target.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("target must be HOST:PORT; got '", target, "'"));
  }
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;  // Else each address comes three times.
  addrinfo* list = nullptr;
  const std::string host = target.substr(0, colon);
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &list);
      error != 0) {
    return absl::UnavailableError(
        absl::StrCat("no address of ", host, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list,
                                                                 &freeaddrinfo);
  std::set<std::string> addresses;
  for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
    const std::string found = NumericHost(*entry->ai_addr, entry->ai_addrlen);
    if (!found.empty()) {
      addresses.insert(absl::StrCat(found, target.substr(colon)));
    }
  }
  return std::vector<std::string>(addresses.begin(), addresses.end());
}

}  // namespace attn::client
