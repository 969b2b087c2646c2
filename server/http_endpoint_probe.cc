#include "server/http_endpoint_probe.h"

#include <civetweb.h>

#include <array>
#include <memory>

#include "absl/status/status.h"
#include "core/base/status_macros.h"
#include "server/listen_address.h"

namespace attn {
namespace {

struct Close {
  void operator()(mg_connection* connection) const {
    mg_close_connection(connection);
  }
};

}  // namespace

absl::StatusOr<int> ProbeHttp(const std::string& address,
                              const std::string& path, Duration timeout) {
  ATTN_ASSIGN_OR_RETURN(const ListenAddress parsed,
                        ParseListenAddress(address));
  std::array<char, 256> error{};
  const std::unique_ptr<mg_connection, Close> connection(
      mg_connect_client(parsed.host.c_str(), parsed.port, /*use_ssl=*/0,
                        error.data(), error.size()));
  if (connection == nullptr) return absl::UnavailableError(error.data());
  mg_printf(connection.get(), "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
            path.c_str(), address.c_str());
  const auto patience =
      std::chrono::ceil<std::chrono::milliseconds>(timeout).count();
  if (mg_get_response(connection.get(), error.data(), error.size(),
                      static_cast<int>(patience)) < 0) {
    return absl::UnavailableError(error.data());
  }
  return mg_get_response_info(connection.get())->status_code;
}

}  // namespace attn
