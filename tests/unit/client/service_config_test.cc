#include "client/cpp/service_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::client {
namespace {

using ::testing::HasSubstr;

TEST(ServiceConfigTest, NamesAttemptsWaitsAndCodes) {
  const std::string config = RetryServiceConfig({}).value();
  EXPECT_THAT(config, HasSubstr(R"("maxAttempts": 4)"));
  EXPECT_THAT(config, HasSubstr(R"("initialBackoff": "0.100000000s")"));
  EXPECT_THAT(config, HasSubstr(R"("maxBackoff": "2.000000000s")"));
  EXPECT_THAT(config, HasSubstr(R"(["UNAVAILABLE", "RESOURCE_EXHAUSTED"])"));
}

TEST(ServiceConfigTest, OneAttemptNeedsNoConfig) {
  EXPECT_EQ(RetryServiceConfig({.max_attempts = 1}).value(), "");
}

TEST(ServiceConfigTest, RefusesPoliciesThatGrpcRefuses) {
  EXPECT_FALSE(RetryServiceConfig({.max_attempts = 0}).ok());
  EXPECT_FALSE(RetryServiceConfig({.max_attempts = 6}).ok());
  EXPECT_FALSE(
      RetryServiceConfig({.initial_backoff = absl::ZeroDuration()}).ok());
  EXPECT_FALSE(RetryServiceConfig({.max_backoff = absl::Milliseconds(1)}).ok());
  EXPECT_FALSE(RetryServiceConfig({.multiplier = 0}).ok());
}

}  // namespace
}  // namespace attn::client
