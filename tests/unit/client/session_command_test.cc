// `attnctl session` from the command line to what it prints, against a server
// in the same process (fake_server.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iterator>

#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/npy.h"
#include "tests/unit/client/fake_server.h"

namespace attn::attnctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Outcome {
  int exit_code = 0;
  std::string out, err;
};

class SessionCommandTest : public ::testing::Test {
 protected:
  // "attnctl session `line`"
  Outcome Run(const std::string& line) {
    CLI::App app;
    GlobalOptions globals;
    globals.address = server_.address();
    globals.max_attempts = 1;
    Action action;
    AddSessionCommand(app, globals, action);
    app.parse("session " + line);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Outcome outcome;
    outcome.exit_code = action();
    outcome.out = ::testing::internal::GetCapturedStdout();
    outcome.err = ::testing::internal::GetCapturedStderr();
    return outcome;
  }

  // A file of `shape` filled with ones.
  static std::string File(const std::string& name, const client::Shape& shape) {
    const std::vector<float> ones(client::NumElements(shape).value(), 1.0F);
    std::string path = ::testing::TempDir() + "/session_command_" + name;
    EXPECT_TRUE(
        WriteNpy(path, client::Tensor::FromFloats(ones, shape).value()).ok());
    return path;
  }

  static std::string Path(const std::string& name) {
    return ::testing::TempDir() + "/session_command_" + name;
  }

  // "" where there is no such file.
  static std::string Contents(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  client::FakeServer server_;
};

TEST_F(SessionCommandTest, CreatePrintsTheSession) {
  const Outcome created = Run("create s1 --head-dim 8 --layers 2");
  EXPECT_EQ(created.exit_code, kExitOk);
  EXPECT_THAT(created.out, HasSubstr("session        s1\nlayers         2\n"));
  EXPECT_THAT(Run("create --head-dim 8 --json").out,
              HasSubstr("{\"session_id\": \"made-1\", "));
}

TEST_F(SessionCommandTest, FilesAreAppendedToOneLayer) {
  Run("create s1 --head-dim 8 --layers 2");
  const std::string rows = File("rows.npy", {1, 1, 3, 8});
  const Outcome appended =
      Run("append s1 --layer 1 --key " + rows + " --value " + rows);
  EXPECT_EQ(appended.exit_code, kExitOk) << appended.err;
  EXPECT_EQ(appended.out, "layer 1 has 3 tokens\n");
}

TEST_F(SessionCommandTest, RandomRowsCanGoToAllLayers) {
  Run("create s1 --head-dim 8 --layers 2");
  EXPECT_EQ(Run("append s1 --random 5 --all-layers").out,
            "layer 0 has 5 tokens\nlayer 1 has 5 tokens\n");
  EXPECT_EQ(Run("append s1 --random 2 --json").out,
            "{\"session_id\": \"s1\", \"layer\": 0, \"session_length\": 7}\n");
}

TEST_F(SessionCommandTest, AttendAppendsAndShowsTheLength) {
  Run("create s1 --head-dim 8");
  const Outcome random = Run("attend s1 --random 3 --q-heads 4");
  EXPECT_EQ(random.exit_code, kExitOk) << random.err;
  EXPECT_THAT(random.out, HasSubstr("output f32 [1, 4, 3, 8]"));
  EXPECT_THAT(random.out, HasSubstr("session length 3\n"));
  const std::string query = File("query.npy", {1, 4, 1, 8});
  EXPECT_THAT(Run("attend s1 --query " + query + " --json").out,
              HasSubstr("\"session_length\": 3}"));
}

TEST_F(SessionCommandTest, ErrorsShowReasonAndFoundLength) {
  Run("create s1 --head-dim 8");
  Run("append s1 --random 5");
  const Outcome refused = Run("append s1 --random 1 --expected-length 4");
  EXPECT_EQ(refused.exit_code, kExitFailed);
  EXPECT_EQ(refused.err,
            "attnctl: FAILED_PRECONDITION (LENGTH_MISMATCH): the layer has "
            "another length\n  found length 5\n");
  EXPECT_THAT(Run("show s2").err,
              HasSubstr("NOT_FOUND (SESSION_NEVER_EXISTED)"));
  EXPECT_THAT(Run("create s1 --head-dim 8").err,
              HasSubstr("ALREADY_EXISTS (SESSION_EXISTS)"));
}

TEST_F(SessionCommandTest, ForkAndTruncateShowWhatIsLeft) {
  Run("create s1 --head-dim 8 --layers 2");
  Run("append s1 --random 5 --all-layers");
  EXPECT_THAT(Run("fork s1 s2 --length 4").out,
              HasSubstr("tokens         4, 4\n"));
  EXPECT_THAT(Run("truncate s2 3 --layer 1").out,
              HasSubstr("tokens         4, 3\n"));
  EXPECT_THAT(Run("show s1").out, HasSubstr("tokens         5, 5\n"));
}

TEST_F(SessionCommandTest, ExportedFileImportsUnderItsOwnIdOrAnother) {
  Run("create s1 --head-dim 8");
  const std::string file = Path("whole");
  const Outcome exported = Run("export s1 " + file);
  EXPECT_EQ(exported.exit_code, kExitOk) << exported.err;
  EXPECT_EQ(exported.out, "s1: 14 bytes in " + file + "\n");
  EXPECT_EQ(Contents(file), "snapshot of s1");
  EXPECT_EQ(Contents(file + ".partial"), "");
  EXPECT_THAT(Run("import " + file).out, HasSubstr("session        s1\n"));
  EXPECT_THAT(Run("import " + file + " s2 --json").out,
              HasSubstr("{\"session_id\": \"s2\""));
  EXPECT_THAT(Run("export s1 " + file + " --json").out,
              HasSubstr("\"bytes\": 14}"));
}

TEST_F(SessionCommandTest, ExportToStdoutIsTheBytesAlone) {
  Run("create s1 --head-dim 8");
  EXPECT_EQ(Run("export s1 -").out, "snapshot of s1");
}

TEST_F(SessionCommandTest, BrokenExportLeavesTheOldFileAlone) {
  Run("create s1 --head-dim 8");
  const std::string file = Path("broken");
  std::ofstream(file) << "old";
  server_.ExpectSessionCalls({{.code = 14}});
  const Outcome broken = Run("export s1 " + file);
  EXPECT_EQ(broken.exit_code, kExitFailed);
  EXPECT_THAT(broken.err, HasSubstr("attnctl: UNAVAILABLE"));
  EXPECT_EQ(Contents(file), "old");
  EXPECT_EQ(Contents(file + ".partial"), "");
  EXPECT_THAT(Run("export nobody " + file).err,
              HasSubstr("NOT_FOUND (SESSION_NEVER_EXISTED)"));
  EXPECT_EQ(Contents(file), "old");
}

TEST_F(SessionCommandTest, FullDiskIsAFailedExport) {
  Run("create s1 --head-dim 8");
  const Outcome full = Run("export s1 /dev/full");
  EXPECT_EQ(full.exit_code, kExitFailed);
  EXPECT_THAT(full.err, HasSubstr("cannot write /dev/full: No space left"));
}

TEST_F(SessionCommandTest, FilesThatMakeNoTransferAreUsageErrors) {
  Run("create s1 --head-dim 8");
  EXPECT_EQ(Run("export s1 /nowhere/at/all").exit_code, kExitUsage);
  EXPECT_EQ(Run("import /nowhere/at/all").exit_code, kExitUsage);
  EXPECT_THAT(server_.session_calls(), ElementsAre("CreateSession s1"));
}

TEST_F(SessionCommandTest, DamagedFileSaysSo) {
  const std::string file = Path("damaged");
  std::ofstream(file) << "something else";
  const Outcome refused = Run("import " + file);
  EXPECT_EQ(refused.exit_code, kExitFailed);
  EXPECT_THAT(refused.err, HasSubstr("DATA_LOSS (SNAPSHOT_DAMAGED)"));
}

TEST_F(SessionCommandTest, ListShowsAllPagesOrOne) {
  EXPECT_EQ(Run("list").out, "no sessions\n");
  for (const char* id : {"a", "b", "c"}) {
    Run(std::string("create --head-dim 8 ") + id);
  }
  const std::string all = Run("list").out;
  EXPECT_THAT(all, HasSubstr("\na  "));
  EXPECT_THAT(all, HasSubstr("\nc  "));
  EXPECT_THAT(Run("list --page-size 2").out,
              HasSubstr("next page: --page-token b\n"));
  EXPECT_THAT(Run("list --page-size 2 --page-token b --json").out,
              ::testing::StartsWith("{\"sessions\": [\n{\"session_id\": "
                                    "\"c\""));
}

TEST_F(SessionCommandTest, DeleteTriesAll) {
  Run("create a --head-dim 8");
  Run("create b --head-dim 8");
  const Outcome deleted = Run("delete a x b");
  EXPECT_EQ(deleted.exit_code, kExitFailed);
  EXPECT_THAT(deleted.err, HasSubstr("\"x\" never existed"));
  EXPECT_TRUE(server_.session_ids().empty());
}

TEST_F(SessionCommandTest, MissingInputIsAUsageError) {
  Run("create s1 --head-dim 8");
  EXPECT_EQ(Run("append s1").exit_code, kExitUsage);
  EXPECT_EQ(Run("attend s1").exit_code, kExitUsage);
  EXPECT_THAT(server_.session_calls(), ElementsAre("CreateSession s1"));
}

}  // namespace
}  // namespace attn::attnctl
