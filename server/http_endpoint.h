// The HTTP side of the server: /metrics, /livez, /readyz and /statusz, for
// Prometheus, probes and people. It knows nothing of the engine: what it shows
// comes from functions. It reads nothing from disk and takes no request body.
// Browsers are told to load nothing but what this server serves itself.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/listen_address.h"

struct mg_context;

namespace attn {

enum class PageFormat { kHtml, kJson };

// A file that never changes; all views must stay valid, as those of literals.
struct HttpFile {
  std::string_view path;  // "/statusz.js"
  std::string_view content_type;
  std::string_view text;
};

// All functions must be set and thread-safe, and stay callable until the
// endpoint is gone. They must not throw.
struct HttpHandlers {
  // Whether a caller who sent these values of Authorization may see more than
  // /livez and /readyz: OK, UNAUTHENTICATED (answered with 401) or another
  // error (403). Its message is shown.
  std::function<absl::Status(const std::vector<std::string_view>&)> admit;
  std::function<std::string()> metrics;  // Text exposition format 0.0.4.
  std::function<bool()> is_ready;        // False: /readyz answers 503.
  std::function<std::string(PageFormat)> statusz;
  std::vector<HttpFile> files = {};
};

// Thread-safe.
class HttpEndpoint {
 public:
  // Listens on HOST:PORT; port 0 picks a free one. INVALID_ARGUMENT for a
  // malformed address, UNIMPLEMENTED for IPv6 where the civetweb library was
  // built without it (as in Debian 12), UNAVAILABLE if it cannot be bound.
  static absl::StatusOr<std::unique_ptr<HttpEndpoint>> Start(
      const std::string& address, HttpHandlers handlers);

  // Closes the port and waits for answers under way.
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  int port() const { return port_; }

 private:
  explicit HttpEndpoint(HttpHandlers handlers);

  absl::Status Listen(const ListenAddress& parsed);

  friend struct HttpCallbacks;

  const HttpHandlers handlers_;
  mg_context* context_ = nullptr;  // Owned; set by Listen.
  int port_ = 0;
  std::string listening_host_;
  // While it starts, civetweb calls back on the starting thread alone.
  std::atomic<bool> is_starting_ = true;
  std::string last_error_;
};

}  // namespace attn
