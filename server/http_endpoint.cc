#include "server/http_endpoint.h"

#include <civetweb.h>

#include <array>
#include <chrono>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"

namespace attn {
namespace {

constexpr unsigned kIpv6Feature = 8;
// A probe must get through beside two slow scrapers.
constexpr char kNumThreads[] = "4";
constexpr char kRequestTimeoutMs[] = "5000";

constexpr std::chrono::milliseconds kTouchInterval(5);

constexpr std::string_view kPlain = "text/plain; charset=utf-8";
constexpr std::string_view kExposition =
    "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kJson = "application/json";

// Only files of this server, no inline script or style, no frames: a page that
// somebody smuggles markup into still runs nothing of theirs.
constexpr char kContentPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

struct Reply {
  int status = 200;
  std::string_view content_type = kPlain;
  std::string body;
};

std::string_view StatusText(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    default:
      return "Service Unavailable";
  }
}

Reply StatusPage(const HttpHandlers& handlers, std::string_view query) {
  if (query.empty() || query == "format=html") {
    return {200, kHtml, handlers.statusz(PageFormat::kHtml)};
  }
  if (query == "format=json") {
    return {200, kJson, handlers.statusz(PageFormat::kJson)};
  }
  return {400, kPlain, "The query must be format=html or format=json.\n"};
}

Reply Readiness(const HttpHandlers& handlers) {
  if (handlers.is_ready()) return {200, kPlain, "ready\n"};
  return {503, kPlain, "draining\n"};
}

std::vector<std::string_view> Authorization(const mg_request_info& request) {
  std::vector<std::string_view> values;
  for (int i = 0; i < request.num_headers; ++i) {
    const auto& header = request.http_headers[i];
    if (absl::EqualsIgnoreCase(header.name, "authorization")) {
      values.emplace_back(header.value);
    }
  }
  return values;
}

Reply Refusal(const absl::Status& status) {
  return {absl::IsUnauthenticated(status) ? 401 : 403, kPlain,
          absl::StrCat(status.message(), "\n")};
}

Reply Answer(const HttpHandlers& handlers, const mg_request_info& request) {
  const std::string_view method = request.request_method;
  if (method != "GET" && method != "HEAD") {
    return {405, kPlain, "Only GET and HEAD are allowed.\n"};
  }
  const std::string_view path = request.local_uri ? request.local_uri : "";
  const std::string_view query =
      request.query_string ? request.query_string : "";
  if (path == "/livez") return {200, kPlain, "alive\n"};
  if (path == "/readyz") return Readiness(handlers);
  // Nothing else is for everybody.
  const absl::Status admitted = handlers.admit(Authorization(request));
  if (!admitted.ok()) return Refusal(admitted);
  if (path == "/metrics") return {200, kExposition, handlers.metrics()};
  if (path == "/statusz") return StatusPage(handlers, query);
  for (const HttpFile& file : handlers.files) {
    if (path == file.path) {
      return {200, file.content_type, std::string(file.text)};
    }
  }
  return {404, kPlain, "Here are /metrics, /livez, /readyz and /statusz.\n"};
}

// Connects and closes again.
void TouchPort(const std::string& host, int port) {
  std::array<char, 128> error{};
  mg_connection* connection = mg_connect_client(
      host.c_str(), port, /*use_ssl=*/0, error.data(), error.size());
  if (connection != nullptr) mg_close_connection(connection);
}

std::string Head(const Reply& reply) {
  const auto view = [](std::string_view text) {
    return absl::string_view(text.data(), text.size());
  };
  return absl::StrCat(
      "HTTP/1.1 ", reply.status, " ", view(StatusText(reply.status)),
      "\r\nContent-Type: ", view(reply.content_type),
      "\r\nContent-Length: ", reply.body.size(),
      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff"
      "\r\nContent-Security-Policy: ",
      kContentPolicy, "\r\n", reply.status == 405 ? "Allow: GET, HEAD\r\n" : "",
      reply.status == 401 ? "WWW-Authenticate: Bearer\r\n" : "",
      "Connection: close\r\n\r\n");
}

}  // namespace

// civetweb's view of an endpoint, which it carries as its user data.
struct HttpCallbacks {
  static int OnRequest(mg_connection* connection) {
    const mg_request_info* request = mg_get_request_info(connection);
    const auto* endpoint = static_cast<HttpEndpoint*>(request->user_data);
    const Reply reply = Answer(endpoint->handlers_, *request);
    std::string text = Head(reply);
    if (std::string_view(request->request_method) != "HEAD") text += reply.body;
    mg_write(connection, text.data(), text.size());
    return reply.status;
  }

  // Non-zero keeps civetweb from writing to its own log.
  static int OnMessage(const mg_connection* connection, const char* message) {
    void* user_data =
        connection ? mg_get_user_data(mg_get_context(connection)) : nullptr;
    auto* endpoint = static_cast<HttpEndpoint*>(user_data);
    // The first message says why, later ones only that it failed.
    if (endpoint != nullptr && endpoint->is_starting_.load() &&
        endpoint->last_error_.empty()) {
      endpoint->last_error_ = message;
    }
    return 1;
  }
};

HttpEndpoint::HttpEndpoint(HttpHandlers handlers)
    : handlers_(std::move(handlers)) {}

HttpEndpoint::~HttpEndpoint() {
  if (context_ == nullptr) return;
  // civetweb looks for its stop flag when a connection comes or 2 s have
  // passed.
  const std::jthread waker([this](const std::stop_token& stopped) {
    while (!stopped.stop_requested()) {
      TouchPort(listening_host_, port_);
      std::this_thread::sleep_for(kTouchInterval);
    }
  });
  mg_stop(context_);
}

absl::StatusOr<std::unique_ptr<HttpEndpoint>> HttpEndpoint::Start(
    const std::string& address, HttpHandlers handlers) {
  ATTN_ASSIGN_OR_RETURN(const ListenAddress parsed,
                        ParseListenAddress(address));
  if (parsed.is_unix()) {
    return absl::InvalidArgumentError("HTTP needs an address HOST:PORT");
  }
  if (parsed.is_ipv6() && mg_check_feature(kIpv6Feature) == 0) {
    return absl::UnimplementedError(
        absl::StrCat("HTTP cannot listen on ", address,
                     ": this build of civetweb has no IPv6"));
  }
  std::unique_ptr<HttpEndpoint> endpoint(new HttpEndpoint(std::move(handlers)));
  ATTN_RETURN_IF_ERROR(endpoint->Listen(parsed));
  return endpoint;
}

absl::Status HttpEndpoint::Listen(const ListenAddress& parsed) {
  const std::string address = FormatListenAddress(parsed);
  mg_callbacks callbacks{};
  callbacks.begin_request = &HttpCallbacks::OnRequest;
  callbacks.log_message = &HttpCallbacks::OnMessage;
  std::array<const char*, 9> options{"listening_ports",
                                     address.c_str(),
                                     "num_threads",
                                     kNumThreads,
                                     "request_timeout_ms",
                                     kRequestTimeoutMs,
                                     "tcp_nodelay",
                                     "1",
                                     nullptr};
  mg_init_data init{&callbacks, this, options.data()};
  context_ = mg_start2(&init, nullptr);
  is_starting_ = false;
  if (context_ == nullptr) {
    return absl::UnavailableError(absl::StrCat(
        "HTTP cannot listen on ", address, ": ",
        last_error_.empty() ? "civetweb did not start" : last_error_));
  }
  std::array<mg_server_port, 1> ports{};
  mg_get_server_ports(context_, static_cast<int>(ports.size()), ports.data());
  port_ = ports.front().port;
  listening_host_ = LoopbackOf(parsed).host;
  return absl::OkStatus();
}

}  // namespace attn
