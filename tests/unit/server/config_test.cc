#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn {
namespace {

using testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30;

TEST(ConfigTest, TakesMemoryBoundsFromTheMachine) {
  const ServerConfig large = DefaultConfig(24 * kGiB);
  EXPECT_EQ(large.kv_memory_bytes, 12 * kGiB);
  EXPECT_EQ(large.max_queue_bytes, kGiB);
  EXPECT_EQ(large.grpc_memory_bytes, 2 * kGiB);
  const ServerConfig small = DefaultConfig(2 * kGiB);
  EXPECT_EQ(small.kv_memory_bytes, kGiB);
  EXPECT_EQ(small.max_queue_bytes, kGiB / 2);
  EXPECT_EQ(small.grpc_memory_bytes, kGiB / 2);
}

TEST(ConfigTest, RefusesAQueueSmallerThanARequest) {
  ServerConfig config = DefaultConfig(24 * kGiB);
  config.max_queue_bytes = 1 << 20;
  EXPECT_THAT(CheckConfig(config).message(), HasSubstr("got 1MiB and 256MiB"));
}

TEST(ConfigTest, RefusesLessTransportMemoryThanTwoRequests) {
  ServerConfig config = DefaultConfig(24 * kGiB);
  config.grpc_memory_bytes = 2 * config.max_request_bytes;
  EXPECT_TRUE(CheckConfig(config).ok());
  --config.grpc_memory_bytes;
  EXPECT_THAT(CheckConfig(config).message(),
              HasSubstr("--grpc-memory must be at least twice"));
}

TEST(ConfigTest, RefusesOneAddressForBothProtocols) {
  ServerConfig config = DefaultConfig(24 * kGiB);
  config.http_address = config.grpc_address;
  EXPECT_THAT(CheckConfig(config).message(), HasSubstr("must differ"));
  config.grpc_address = config.http_address = "127.0.0.1:0";
  EXPECT_TRUE(CheckConfig(config).ok());
}

TEST(ConfigTest, RefusesHalfOfWhatTlsNeeds) {
  ServerConfig config = DefaultConfig(24 * kGiB);
  config.tls_certificate = "/certificate";
  EXPECT_THAT(CheckConfig(config).message(),
              HasSubstr("got only --tls-certificate"));
  config.tls_key = "/key";
  EXPECT_TRUE(CheckConfig(config).ok());
  config.tls_certificate = "";
  EXPECT_THAT(CheckConfig(config).message(), HasSubstr("got only --tls-key"));
  config.tls_key = "";
  config.tls_client_ca = "/ca";
  EXPECT_THAT(CheckConfig(config).message(),
              HasSubstr("must come with --tls-certificate"));
}

TEST(ConfigTest, RefusesWhatWouldAnswerWithoutCredentials) {
  ServerConfig config = DefaultConfig(24 * kGiB);
  config.token_file = "/tokens";
  config.shared_memory_socket = "/memory";
  EXPECT_TRUE(CheckConfig(config).ok());
  config.reflection = true;
  EXPECT_THAT(CheckConfig(config).message(),
              HasSubstr("--reflection must be off with --token-file"));
  // A certificate is asked for before reflection is, but not at the socket.
  config.token_file = "";
  config.tls_certificate = config.tls_key = config.tls_client_ca = "/pem";
  EXPECT_THAT(CheckConfig(config).message(),
              HasSubstr("no certificate can be shown at the socket"));
  config.shared_memory_socket = "";
  EXPECT_TRUE(CheckConfig(config).ok());
}

TEST(ConfigTest, RefusesToLoadLayersFromNowhere) {
  ServerConfig config = DefaultConfig(24 * kGiB);
  config.load_layers = "llama/0";
  EXPECT_THAT(CheckConfig(config).message(),
              HasSubstr("--load-layers must come with --layers; got only "
                        "\"llama/0\""));
  config.load_layers = "none";
  EXPECT_TRUE(CheckConfig(config).ok());
  config.layer_loading = true;
  EXPECT_THAT(CheckConfig(config).message(),
              HasSubstr("--layer-loading must come with --layers"));
  config.layers_folder = "/models";
  EXPECT_TRUE(CheckConfig(config).ok());
}

TEST(ConfigTest, PrintsKeysUnderTheirHeadings) {
  EXPECT_THAT(PrintConfig(DefaultConfig(24 * kGiB)),
              HasSubstr("# Compute\nworkers = 0\npin-workers = "
                        "false\nworker-spin = 0s\nmax-isa = auto\n"));
}

}  // namespace
}  // namespace attn
