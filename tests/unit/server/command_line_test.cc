#include "server/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "server/settings.h"

namespace attn {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr int64_t kGiB = int64_t{1} << 30;
const HostFacts kHost{.version = "1.2.3", .usable_memory_bytes = 8 * kGiB};

absl::StatusOr<Invocation> Parse(const std::vector<std::string>& args,
                                 const std::vector<std::string>& env = {}) {
  return ParseCommandLine(args, env, kHost);
}

ServerConfig ConfigOf(const std::vector<std::string>& args,
                      const std::vector<std::string>& env = {}) {
  const auto invocation = Parse(args, env);
  EXPECT_TRUE(invocation.ok()) << invocation.status();
  return invocation.ok() ? invocation->config : ServerConfig();
}

std::string ErrorOf(const std::vector<std::string>& args,
                    const std::vector<std::string>& env = {}) {
  return std::string(Parse(args, env).status().message());
}

// A config file of this text, one for each process and name.
std::string WriteFile(const std::string& name, const std::string& text) {
  std::string path = testing::TempDir() + name + "." + std::to_string(getpid());
  std::ofstream(path) << text;
  return path;
}

TEST(CommandLineTest, ServesWithTheDefaultsOfTheContract) {
  const auto invocation = Parse({});
  ASSERT_TRUE(invocation.ok()) << invocation.status();
  EXPECT_EQ(invocation->action, Action::kServe);
  EXPECT_EQ(invocation->config.grpc_address, "127.0.0.1:8001");
  EXPECT_EQ(invocation->config.kv_memory_bytes, 4 * kGiB);
}

TEST(CommandLineTest, ReadsTypedFlags) {
  const ServerConfig config = ConfigOf(
      {"--grpc-address", "unix:/run/a.sock", "--workers=3", "--max-isa", "avx2",
       "--max-request-bytes", "1MiB", "--max-queue-wait", "250ms",
       "--log-level", "warning", "--log-format=json", "--reflection"});
  EXPECT_EQ(config.grpc_address, "unix:/run/a.sock");
  EXPECT_EQ(config.workers, 3);
  EXPECT_EQ(config.max_isa, Isa::kAvx2);
  EXPECT_EQ(config.max_request_bytes, 1 << 20);
  EXPECT_EQ(config.max_queue_wait, milliseconds(250));
  EXPECT_EQ(config.log_level, LogLevel::kWarning);
  EXPECT_EQ(config.log_format, LogFormat::kJson);
  EXPECT_TRUE(config.reflection);
}

TEST(CommandLineTest, ReadsTheSwitchWithAndWithoutItsValue) {
  EXPECT_TRUE(ConfigOf({"--reflection"}).reflection);
  EXPECT_TRUE(ConfigOf({"--reflection=true"}).reflection);
  EXPECT_TRUE(ConfigOf({"--reflection", "--workers=1"}).reflection);
  EXPECT_FALSE(ConfigOf({"--reflection=false"}, {"ATTNSERVE_REFLECTION=true"})
                   .reflection);
  EXPECT_EQ(ErrorOf({"--reflection=maybe"}),
            "--reflection must be true or false; got \"maybe\"");
}

TEST(CommandLineTest, ReadsThePathOfASocketOrOff) {
  constexpr char kEnvironment[] = "ATTNSERVE_SHARED_MEMORY_SOCKET=/run/b";
  EXPECT_EQ(ConfigOf({"--shared-memory-socket=/run/a"}).shared_memory_socket,
            "/run/a");
  EXPECT_EQ(ConfigOf({}, {kEnvironment}).shared_memory_socket, "/run/b");
  EXPECT_EQ(ConfigOf({"--shared-memory-socket=off"}, {kEnvironment})
                .shared_memory_socket,
            "");
  EXPECT_EQ(ErrorOf({"--shared-memory-socket=run/a"}),
            "--shared-memory-socket must be a path that starts with / or off; "
            "got \"run/a\"");
}

TEST(CommandLineTest, TakesAllNoLayersOrThoseThatAreNamed) {
  for (const std::string names : {"all", "none", "llama/0,a b/11"}) {
    EXPECT_EQ(
        ConfigOf({"--layers=/models", "--load-layers=" + names}).load_layers,
        names);
  }
  for (const std::string names : {",", "a/0,", "a/0, a/1", "\"a/0\"", "a\n"}) {
    EXPECT_EQ(ErrorOf({"--layers=/models", "--load-layers=" + names}),
              "--load-layers must be all, none or names of layers with commas "
              "between them; got \"" +
                  names + "\"");
  }
}

TEST(CommandLineTest, KnowsTheFormsOfWeights) {
  EXPECT_EQ(ConfigOf({}).layer_weights, WeightFormat::kUnspecified);
  EXPECT_EQ(ConfigOf({"--layer-weights=int8"}).layer_weights,
            WeightFormat::kInt8);
  EXPECT_EQ(ErrorOf({"--layer-weights=int4"}),
            "--layer-weights must be one of stored, f32, f16, bf16, int8; got "
            "\"int4\"");
}

TEST(CommandLineTest, FlagWinsOverEnvironmentOverFileOverDefault) {
  const std::string file = WriteFile("precedence",
                                     "workers = 2\nmax-batch-tasks = 2\n"
                                     "max-sessions = 2\n");
  const ServerConfig config = ConfigOf(
      {"--config", file, "--workers", "4"},
      {"ATTNSERVE_WORKERS=3", "ATTNSERVE_MAX_BATCH_TASKS=3", "HOME=/"});
  EXPECT_EQ(config.workers, 4);
  EXPECT_EQ(config.max_batch_tasks, 3);
  EXPECT_EQ(config.max_sessions, 2);
  EXPECT_EQ(config.max_queue_tasks, 4096);
}

TEST(CommandLineTest, TakesTheFileFromTheEnvironment) {
  const std::string file = WriteFile("from_env", "workers = 7\n");
  EXPECT_EQ(ConfigOf({}, {"ATTNSERVE_CONFIG=" + file}).workers, 7);
}

TEST(CommandLineTest, NamesWhatItDoesNotKnow) {
  EXPECT_THAT(ErrorOf({"--wrkers=1"}), HasSubstr("--wrkers"));
  EXPECT_THAT(ErrorOf({"extra"}), HasSubstr("extra"));
  EXPECT_EQ(ErrorOf({}, {"ATTNSERVE_WRKERS=1"}),
            "unknown environment variable ATTNSERVE_WRKERS");
  const std::string file = WriteFile("unknown", "\nwrkers = 1\n");
  EXPECT_EQ(ErrorOf({"--config", file}),
            "config file " + file + " line 2: unknown key wrkers");
}

TEST(CommandLineTest, ExplainsTheVariablesOfKubernetes) {
  EXPECT_THAT(ErrorOf({}, {"ATTNSERVE_PORT_8001_TCP=tcp://10.0.0.1:8001"}),
              HasSubstr("enableServiceLinks"));
}

TEST(CommandLineTest, NamesTheSourceOfABadValue) {
  EXPECT_EQ(ErrorOf({"--workers", "many"}),
            "--workers must be a whole number; got \"many\"");
  EXPECT_THAT(ErrorOf({"--workers="}), HasSubstr("--workers"));
  EXPECT_EQ(ErrorOf({}, {"ATTNSERVE_WORKERS="}),
            "ATTNSERVE_WORKERS must be a whole number; got \"\"");
  EXPECT_EQ(ErrorOf({"--workers=-1"}),
            "--workers must be a whole number; got \"-1\"");
  EXPECT_EQ(ErrorOf({}, {"ATTNSERVE_DRAIN_DELAY=5"}),
            "ATTNSERVE_DRAIN_DELAY must be a whole number with us, ms, s, m "
            "or h; got \"5\"");
  const std::string file = WriteFile("bad_value", "log-format = xml\n");
  EXPECT_EQ(ErrorOf({"--config", file}),
            "config file " + file +
                " line 1: log-format must be one of text, json; got \"xml\"");
}

TEST(CommandLineTest, RefusesValuesOutOfRange) {
  EXPECT_THAT(ErrorOf({"--max-request-bytes", "2GiB"}), HasSubstr("to 1GiB"));
  EXPECT_THAT(ErrorOf({"--max-batch-tasks", "0"}), HasSubstr("from 1"));
  EXPECT_THAT(ErrorOf({"--http-address", "unix:/a"}), HasSubstr("HOST:PORT"));
  EXPECT_THAT(ErrorOf({"--grpc-address", "host:70000"}), HasSubstr("65535"));
  EXPECT_THAT(ErrorOf({"--max-isa", "sse"}), HasSubstr("auto, avx512, avx2"));
}

TEST(CommandLineTest, RaisesDefaultsToWhatTheLargestRequestNeeds) {
  const auto tiny = ParseCommandLine(
      {}, {}, {.version = "1", .usable_memory_bytes = kGiB / 2});
  ASSERT_TRUE(tiny.ok()) << tiny.status();
  EXPECT_EQ(tiny->config.max_queue_bytes, tiny->config.max_request_bytes);
  EXPECT_EQ(tiny->config.grpc_memory_bytes, 2 * tiny->config.max_request_bytes);
}

TEST(CommandLineTest, PrintsAConfigThatItReadsBack) {
  const auto printed =
      Parse({"--print-config", "--workers=5", "--grpc-address=[::1]:0",
             "--drain-delay=1500us", "--reflection", "--kv-memory=12345678"});
  ASSERT_TRUE(printed.ok()) << printed.status();
  EXPECT_EQ(printed->action, Action::kShowText);
  const std::string file = WriteFile("printed", printed->text);
  const auto again = Parse({"--config", file, "--print-config"});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->text, printed->text);
  EXPECT_THAT(again->text, HasSubstr("workers = 5\n"));
}

TEST(CommandLineTest, ChecksTheConfig) {
  EXPECT_EQ(Parse({"--check-config"})->action, Action::kShowText);
  EXPECT_FALSE(Parse({"--check-config", "--workers=x"}).ok());
}

TEST(CommandLineTest, PrintsTheVersion) {
  EXPECT_EQ(Parse({"--version"})->text, "attnserve 1.2.3\n");
}

TEST(CommandLineTest, HelpListsEverySettingWithItsDefault) {
  const auto help = Parse({"--help"});
  ASSERT_TRUE(help.ok()) << help.status();
  for (const Setting& setting : AllSettings()) {
    EXPECT_THAT(help->text, HasSubstr("--" + std::string(setting.name)));
  }
  EXPECT_THAT(help->text, HasSubstr("(4GiB)"));
}

TEST(CommandLineTest, HelpFitsEightyColumns) {
  std::istringstream lines(Parse({"--help"})->text);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 80u) << line;
  }
}

TEST(CommandLineTest, HealthcheckAsksTheEffectiveAddress) {
  const auto invocation =
      Parse({"healthcheck"}, {"ATTNSERVE_GRPC_ADDRESS=0.0.0.0:9000"});
  ASSERT_TRUE(invocation.ok()) << invocation.status();
  EXPECT_EQ(invocation->action, Action::kHealthcheck);
  EXPECT_EQ(invocation->healthcheck.address, "127.0.0.1:9000");
  EXPECT_EQ(invocation->healthcheck.timeout, seconds(1));
}

TEST(CommandLineTest, HealthcheckTakesItsOwnFlags) {
  const auto invocation =
      Parse({"healthcheck", "--address", "h:1", "--timeout", "20ms"});
  ASSERT_TRUE(invocation.ok()) << invocation.status();
  EXPECT_EQ(invocation->healthcheck.address, "h:1");
  EXPECT_EQ(invocation->healthcheck.timeout, milliseconds(20));
  EXPECT_THAT(ErrorOf({"healthcheck", "--timeout", "1"}),
              HasSubstr("--timeout must be"));
  EXPECT_THAT(ErrorOf({"healthcheck", "--address", "h:0"}),
              HasSubstr("must name the server's port"));
}

TEST(CommandLineTest, NamesEnvironmentVariablesAfterFlags) {
  EXPECT_EQ(EnvironmentName("max-queue-wait"), "ATTNSERVE_MAX_QUEUE_WAIT");
}

}  // namespace
}  // namespace attn
