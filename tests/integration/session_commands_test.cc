// attnctl session and the decoding example, as programs, against the real
// server: what README.md and client/README.md show.
#include <array>
#include <cstdio>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attn::test {
namespace {

using testing::HasSubstr;

struct Ended {
  int exit_code = -1;
  std::string output;  // Both streams.
};

class SessionCommandsTest : public testing::Test {
 protected:
  static Ended Run(const std::string& command) {
    Ended ended;
    std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
    std::array<char, 4096> buffer{};
    size_t read = 0;
    while ((read = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0) {
      ended.output.append(buffer.data(), read);
    }
    const int status = pclose(pipe);
    if (WIFEXITED(status)) ended.exit_code = WEXITSTATUS(status);
    return ended;
  }
  Ended Session(const std::string& arguments) {
    return Run(std::string(ATTNCTL_BINARY) + " --address " +
               server_.grpc_address() + " session " + arguments);
  }
  void ExpectDone(const std::string& arguments, const std::string& text) {
    const Ended ended = Session(arguments);
    EXPECT_EQ(ended.exit_code, 0) << arguments << "\n" << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(text)) << arguments;
  }
  void ExpectRefused(const std::string& arguments, int exit_code,
                     const std::string& text) {
    const Ended ended = Session(arguments);
    EXPECT_EQ(ended.exit_code, exit_code) << arguments << "\n" << ended.output;
    EXPECT_THAT(ended.output, HasSubstr(text)) << arguments;
  }

  ServerProcess server_;
};

TEST_F(SessionCommandsTest, ALifeFromCreateToDelete) {
  ExpectDone("create chat --layers 2 --kv-heads 2 --head-dim 64", "chat");
  ExpectDone("append chat --random 512 --all-layers", "512");
  ExpectDone("attend chat --random 1 --q-heads 8 --expected-length 512", "513");
  ExpectDone("fork chat draft --length 100", "draft");
  ExpectDone("truncate draft 50", "50");
  ExpectDone("list", "draft");
  ExpectDone("show chat --json", "513");
  const std::string file = testing::TempDir() + "/chat.safetensors";
  ExpectDone("export chat " + file, "bytes in " + file);
  ExpectDone("import " + file + " again", "again");
  ExpectDone("show again", "513");
  ExpectDone("delete chat draft again", "");
  ExpectRefused("show chat", 1, "SESSION_DELETED");
}

TEST_F(SessionCommandsTest, DamagedFilesAndFullDisksAreErrors) {
  ExpectDone("create chat --kv-heads 2 --head-dim 64", "chat");
  ExpectDone("append chat --random 100", "100");
  ExpectRefused("export chat /dev/full", 1, "/dev/full");
  ExpectRefused("import /dev/null copy", 1, "SNAPSHOT_DAMAGED");
  ExpectRefused("import /no/such/file copy", 2, "/no/such/file");
  ExpectRefused("show copy", 1, "SESSION_NEVER_EXISTED");
}

TEST_F(SessionCommandsTest, WhatIsRefusedSaysWhyWithItsExitCode) {
  ExpectDone("create chat --layers 1 --kv-heads 2 --head-dim 64", "chat");
  ExpectRefused("create chat --layers 1 --kv-heads 2 --head-dim 64", 1,
                "SESSION_EXISTS");
  ExpectRefused("append chat --random 3 --expected-length 7", 1,
                "LENGTH_MISMATCH");
  ExpectRefused("show nobody", 1, "SESSION_NEVER_EXISTED");
  ExpectRefused("truncate chat", 2, "length");
  ExpectRefused("frobnicate", 2, "");
}

TEST_F(SessionCommandsTest, BenchOfSessionsPrintsJsonOnDemand) {
  const std::string bench =
      std::string(ATTNCTL_BINARY) + " --address " + server_.grpc_address() +
      " bench --sessions 2 --prefix 4 --steps 3 --head-dim 8 --output ";
  const Ended json = Run(bench + "json");
  EXPECT_EQ(json.exit_code, 0) << json.output;
  EXPECT_THAT(json.output, testing::StartsWith("{\n  \"sessions\": 2,"));
  EXPECT_THAT(json.output, HasSubstr("\"tokens\": 6,"));
  EXPECT_THAT(Run(bench + "table").output, HasSubstr("\ndecode "));
}

TEST_F(SessionCommandsTest, DecoderAgreesWithItsFullRecomputation) {
  const Ended ended =
      Run(std::string(TINY_DECODER_BINARY) + " " + server_.grpc_address());
  EXPECT_EQ(ended.exit_code, 0) << ended.output;
}

}  // namespace
}  // namespace attn::test
