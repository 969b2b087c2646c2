#include "client/cpp/attnctl/http_get.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

constexpr char kOk[] = "HTTP/1.1 200 OK\r\n";

TEST(HttpGetTest, BodyEndsWithTheConnection) {
  EXPECT_EQ(ParseHttpResponse(std::string(kOk) + "\r\nabc").value(), "abc");
}

TEST(HttpGetTest, ContentLengthBoundsTheBody) {
  const std::string head = std::string(kOk) + "CONTENT-LENGTH: 2\r\n\r\n";
  EXPECT_EQ(ParseHttpResponse(head + "abc").value(), "ab");
  EXPECT_EQ(ParseHttpResponse(head + "a").status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(HttpGetTest, ChunksAreJoined) {
  const std::string head =
      std::string(kOk) + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(
      ParseHttpResponse(head + "2\r\nab\r\n3;x=1\r\ncde\r\n0\r\n\r\n").value(),
      "abcde");
  for (const char* body : {"", "2", "2\r\n", "2\r\na", "zz\r\nab\r\n0\r\n\r\n",
                           "ffffffffffffffff\r\nab\r\n"}) {
    EXPECT_FALSE(ParseHttpResponse(head + body).ok()) << body;
  }
}

TEST(HttpGetTest, OtherStatusesAndGarbageAreErrors) {
  EXPECT_EQ(ParseHttpResponse("HTTP/1.1 404 Not Found\r\n\r\n").status().code(),
            absl::StatusCode::kInternal);
  for (const char* text :
       {"", "HTTP/1.1\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\n"}) {
    EXPECT_FALSE(ParseHttpResponse(text).ok()) << text;
  }
}

TEST(HttpGetTest, AddressNeedsAPort) {
  EXPECT_EQ(HttpGet("localhost", "/", absl::Seconds(1)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace attn::attnctl
