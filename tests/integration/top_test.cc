// `attnctl top` against the real server.
#include <CLI/CLI.hpp>
#include <csignal>
#include <string>

#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attn::test {
namespace {

using testing::HasSubstr;

class TopTest : public testing::Test {
 protected:
  // "attnctl top `flags`"; its exit code, and what it printed in out_.
  int Run(const std::string& flags) {
    CLI::App app;
    attnctl::GlobalOptions globals;
    globals.address = server_.grpc_address();
    attnctl::Action action;
    attnctl::AddTopCommand(app, globals, action);
    app.parse("top --http " + server_.http_address() + " " + flags);
    testing::internal::CaptureStdout();
    const int exit_code = action();
    out_ = testing::internal::GetCapturedStdout();
    return exit_code;
  }

  ServerProcess server_;
  std::string out_;
};

TEST_F(TopTest, OneFrameShowsCallsAndSessions) {
  const auto client = server_.NewClient();
  ASSERT_TRUE(client->CreateSession({.head_dim = 4}, "mine").ok());
  EXPECT_EQ(Run("--once"), attnctl::kExitOk);
  EXPECT_THAT(out_, HasSubstr("since the server's start\nrates "));
  EXPECT_THAT(out_, HasSubstr("sessions       1; KV memory 0 bytes of "));
  EXPECT_THAT(out_, HasSubstr("\nCreateSession         1 "));
  EXPECT_THAT(out_, HasSubstr("\nmine "));
}

TEST_F(TopTest, FurtherFramesAreOfTheirInterval) {
  ASSERT_TRUE(server_.NewClient()->CreateSession({.head_dim = 4}, "s").ok());
  EXPECT_EQ(Run("--count 2 --interval 10ms"), attnctl::kExitOk);
  const size_t second = out_.find("\nover ");
  ASSERT_NE(second, std::string::npos) << out_;
  EXPECT_EQ(out_.find("CreateSession", second), std::string::npos) << out_;
}

TEST_F(TopTest, JsonIsOneObjectASample) {
  ASSERT_TRUE(server_.NewClient()->CreateSession({.head_dim = 4}, "s").ok());
  EXPECT_EQ(Run("--count 2 --interval 10ms --output json"), attnctl::kExitOk);
  const size_t end = out_.find('\n');
  EXPECT_THAT(out_.substr(0, end),
              testing::AllOf(testing::StartsWith("{\"since_start\": true, "),
                             HasSubstr("\"CreateSession\": {\"count\": 1, "),
                             HasSubstr("[{\"session_id\": \"s\", "),
                             testing::EndsWith("]}")));
  EXPECT_THAT(out_.substr(end + 1),
              testing::AllOf(testing::StartsWith("{\"since_start\": false, "),
                             testing::Not(HasSubstr("CreateSession")),
                             testing::EndsWith("]}\n")));
}

TEST_F(TopTest, ServerThatIsGoneEndsIt) {
  server_.Signal(SIGKILL);
  server_.Wait();
  EXPECT_EQ(Run("--once"), attnctl::kExitFailed);
}

}  // namespace
}  // namespace attn::test
