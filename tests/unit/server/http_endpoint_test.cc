#include "server/http_endpoint.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

namespace attn {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

class HttpEndpointTest : public testing::Test {
 protected:
  void SetUp() override {
    auto endpoint = HttpEndpoint::Start("127.0.0.1:0", Handlers());
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    endpoint_ = *std::move(endpoint);
  }

  HttpHandlers Handlers() {
    return {
        .admit =
            [](const std::vector<std::string_view>& authorization) {
              if (authorization.size() != 1) {
                return absl::UnauthenticatedError("who is it");
              }
              return authorization[0] == "Bearer ok"
                         ? absl::OkStatus()
                         : absl::PermissionDeniedError("not for you");
            },
        .metrics = [] { return std::string("up 1\n"); },
        .is_ready = [this] { return ready_.load(); },
        .statusz =
            [](PageFormat format) {
              return std::string(format == PageFormat::kJson ? "{}" : "<p>");
            },
        .files = {{"/statusz.js", "text/javascript", "poll()"}}};
  }

  // The whole answer to this request line.
  std::string Ask(
      const std::string& request_line,
      const std::string& headers = "Authorization: Bearer ok\r\n") const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(endpoint_->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string answer;
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) ==
        0) {
      const std::string request =
          request_line + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n" +
          headers + "\r\n";
      EXPECT_EQ(send(fd, request.data(), request.size(), 0),
                static_cast<ssize_t>(request.size()));
      char buffer[4096];
      for (ssize_t n = 0; (n = recv(fd, buffer, sizeof(buffer), 0)) > 0;) {
        answer.append(buffer, static_cast<size_t>(n));
      }
    }
    close(fd);
    return answer;
  }

  std::atomic<bool> ready_ = true;
  std::unique_ptr<HttpEndpoint> endpoint_;
};

TEST_F(HttpEndpointTest, ShowsProbesToEverybody) {
  EXPECT_THAT(Ask("GET /livez", ""), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(Ask("GET /readyz", ""), StartsWith("HTTP/1.1 200 OK\r\n"));
}

TEST_F(HttpEndpointTest, ShowsNothingElseToStrangers) {
  for (const char* path :
       {"/metrics", "/statusz", "/statusz?format=json", "/statusz.js", "/x"}) {
    const std::string get = std::string("GET ") + path;
    const std::string answer = Ask(get, "");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 401 Unauthorized\r\n"));
    EXPECT_THAT(answer, HasSubstr("\r\nWWW-Authenticate: Bearer\r\n"));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nwho is it\n"));
    EXPECT_THAT(Ask(get, "Authorization: Bearer no\r\n"),
                StartsWith("HTTP/1.1 403 Forbidden\r\n"));
    EXPECT_THAT(Ask(get,
                    "authorization: Bearer ok\r\n"
                    "AUTHORIZATION: Bearer ok\r\n"),
                StartsWith("HTTP/1.1 401 Unauthorized\r\n"));
  }
}

TEST_F(HttpEndpointTest, ServesMetricsInTheExpositionFormat) {
  const std::string answer = Ask("GET /metrics");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(
      answer,
      HasSubstr("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nup 1\n"));
}

TEST_F(HttpEndpointTest, ReadinessFollowsTheServerAndLivenessDoesNot) {
  EXPECT_THAT(Ask("GET /readyz"), EndsWith("\r\n\r\nready\n"));
  ready_ = false;
  EXPECT_THAT(Ask("GET /readyz"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(Ask("GET /readyz"), EndsWith("\r\n\r\ndraining\n"));
  EXPECT_THAT(Ask("GET /livez"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpEndpointTest, ServesTheStatusPageInBothFormats) {
  EXPECT_THAT(Ask("GET /statusz"), EndsWith("<p>"));
  EXPECT_THAT(Ask("GET /statusz?format=html"), HasSubstr("text/html"));
  EXPECT_THAT(Ask("GET /statusz?format=json"), EndsWith("{}"));
  EXPECT_THAT(Ask("GET /statusz?format=json"), HasSubstr("application/json"));
  EXPECT_THAT(Ask("GET /statusz?format=xml"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(HttpEndpointTest, ServesFilesByTheirWholePath) {
  EXPECT_THAT(Ask("GET /statusz.js"), EndsWith("\r\n\r\npoll()"));
  EXPECT_THAT(Ask("GET /statusz.js"),
              HasSubstr("Content-Type: text/javascript\r\n"));
  EXPECT_THAT(Ask("GET /statusz.j"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(HttpEndpointTest, BrowsersMayLoadAndRunOnlyWhatThisServerServes) {
  for (const char* page : {"GET /statusz", "GET /metrics", "GET /none"}) {
    const std::string answer = Ask(page);
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Security-Policy: default-src "
                                  "'none'; script-src 'self'; style-src "
                                  "'self'; connect-src 'self'; "));
    EXPECT_THAT(answer, HasSubstr("frame-ancestors 'none'\r\n"));
    EXPECT_THAT(answer, testing::Not(HasSubstr("unsafe-inline")));
  }
}

TEST_F(HttpEndpointTest, HeadHasNoBody) {
  EXPECT_THAT(Ask("HEAD /metrics"), HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(Ask("HEAD /metrics"), EndsWith("\r\n\r\n"));
}

TEST_F(HttpEndpointTest, RefusesOtherMethodsAndPaths) {
  EXPECT_THAT(Ask("POST /metrics"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(Ask("DELETE /livez"), HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(Ask("GET /"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("GET /metrics/x"), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(Ask("GET /../../etc/passwd"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(HttpEndpointTest, SaysThatThePortIsTaken) {
  const std::string address = "127.0.0.1:" + std::to_string(endpoint_->port());
  const auto second = HttpEndpoint::Start(address, Handlers());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(second.status().message(), HasSubstr(address));
  EXPECT_THAT(second.status().message(), HasSubstr("in use"));
}

TEST_F(HttpEndpointTest, ServesIpv6OrSaysThatItCannot) {
  const auto endpoint = HttpEndpoint::Start("[::1]:0", Handlers());
  if (endpoint.ok()) {
    EXPECT_GT((*endpoint)->port(), 0);
  } else {
    EXPECT_THAT(endpoint.status().message(), HasSubstr("[::1]:0"));
  }
}

}  // namespace
}  // namespace attn
