#include "server/listen_address.h"

#include <gtest/gtest.h>

namespace attn {
namespace {

TEST(ListenAddressTest, ReadsHostAndPort) {
  const auto address = ParseListenAddress("127.0.0.1:8001");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->host, "127.0.0.1");
  EXPECT_EQ(address->port, 8001);
  EXPECT_FALSE(address->is_unix());
}

TEST(ListenAddressTest, KeepsItsForm) {
  for (const char* text :
       {"127.0.0.1:8001", "localhost:0", "[::1]:65535", "unix:/run/a.sock"}) {
    const auto address = ParseListenAddress(text);
    ASSERT_TRUE(address.ok()) << address.status();
    EXPECT_EQ(FormatListenAddress(*address), text);
  }
}

TEST(ListenAddressTest, RefusesOtherForms) {
  for (const char* text :
       {"", "8001", ":8001", "host", "host:", "host:http", "host:65536",
        "host:-1", "host:+1", "::1:8001", "[::1]", "[]:1", "a b:1",
        "http://host:1", "unix:", "unix:relative"}) {
    EXPECT_FALSE(ParseListenAddress(text).ok()) << text;
  }
}

TEST(ListenAddressTest, ReplacesWildcardsForClients) {
  const auto reached = [](const char* text) {
    return FormatListenAddress(LoopbackOf(*ParseListenAddress(text)));
  };
  EXPECT_EQ(reached("0.0.0.0:1"), "127.0.0.1:1");
  EXPECT_EQ(reached("[::]:1"), "[::1]:1");
  EXPECT_EQ(reached("10.0.0.7:1"), "10.0.0.7:1");
}

}  // namespace
}  // namespace attn
