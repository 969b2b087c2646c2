#include "client/cpp/attnctl/metrics_scrape.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <thread>

#include "absl/strings/str_cat.h"
#include "client/cpp/attnctl/exit_code.h"

namespace attn::attnctl {
namespace {

// Answers one GET, whatever it asks for, with `body`; then it is gone.
class OneAnswer {
 public:
  explicit OneAnswer(std::string body)
      : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in any = {};  // Port 0: the system picks one.
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(any);
    auto* address = reinterpret_cast<sockaddr*>(&any);
    EXPECT_EQ(bind(listener_, address, size), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    EXPECT_EQ(getsockname(listener_, address, &size), 0);
    address_ = absl::StrCat("127.0.0.1:", ntohs(any.sin_port));
    thread_ = std::thread([this, body = std::move(body)] { Answer(body); });
  }
  ~OneAnswer() {
    shutdown(listener_, SHUT_RDWR);  // Nobody came: accept ends, too.
    thread_.join();
    close(listener_);
  }
  OneAnswer(const OneAnswer&) = delete;
  OneAnswer& operator=(const OneAnswer&) = delete;

  const std::string& address() const { return address_; }

 private:
  void Answer(const std::string& body) const {
    const int peer = accept(listener_, nullptr, nullptr);
    char request[1024];  // A GET of /metrics has less.
    EXPECT_GT(recv(peer, request, sizeof(request), 0), 0);
    const std::string answer = "HTTP/1.1 200 OK\r\n\r\n" + body;
    EXPECT_EQ(send(peer, answer.data(), answer.size(), 0),
              static_cast<ssize_t>(answer.size()));
    close(peer);
  }

  const int listener_;
  std::string address_;
  std::thread thread_;
};

constexpr absl::Duration kTimeout = absl::Seconds(10);

TEST(MetricsScrapeTest, MetricsAreRead) {
  const OneAnswer server("attn_sessions 3\n");
  const auto metrics = ScrapeMetrics(server.address(), kTimeout, "");
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(metrics->Sum("attn_sessions"), 3);
}

TEST(MetricsScrapeTest, TextIsFetchedAsItIs) {
  const OneAnswer server("hello\n");
  EXPECT_EQ(FetchMetrics(server.address(), kTimeout, "").value(), "hello\n");
}

// What another server sends is no mistake of whoever typed the flags.
TEST(MetricsScrapeTest, AnotherTextIsNoUsageError) {
  const OneAnswer server("<html></html>");
  const absl::Status status =
      ScrapeMetrics(server.address(), kTimeout, "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(PrintScrapeError(status), kExitFailed);
}

TEST(MetricsScrapeTest, AddressWithoutAPortIsAUsageError) {
  EXPECT_EQ(PrintScrapeError(ScrapeMetrics("localhost", kTimeout, "").status()),
            kExitUsage);
}

TEST(MetricsScrapeTest, HttpFlagKeepsItsDefault) {
  CLI::App app;
  std::string address = kDefaultHttpAddress;
  AddHttpFlag(app, address);
  app.parse("");
  EXPECT_EQ(address, kDefaultHttpAddress);
  app.clear();
  app.parse("--http example:80");
  EXPECT_EQ(address, "example:80");
}

}  // namespace
}  // namespace attn::attnctl
