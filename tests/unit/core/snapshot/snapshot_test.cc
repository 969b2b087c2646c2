// A session, its bytes, and the session made of them.
#include <string>
#include <thread>
#include <vector>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/core/snapshot/snapshot_case.h"

namespace attn {
namespace {

using test::AppendTo;
using test::Compare;
using test::Export;
using test::IdsFrom;
using test::Import;
using test::MakeSession;

class SnapshotTest : public testing::Test {
 protected:
  PagePool pool_{int64_t{64} << 20};
  PagePool other_{int64_t{64} << 20};
};

TEST_F(SnapshotTest, EveryLengthOfEveryDtypeComesBack) {
  for (const KvDtype dtype :
       {KvDtype::kF32, KvDtype::kBF16, KvDtype::kF16, KvDtype::kInt8}) {
    for (const int64_t length : {0, 1, 63, 64, 65, 127, 128, 129, 200}) {
      SCOPED_TRACE(testing::Message() << "dtype " << static_cast<int>(dtype)
                                      << ", length " << length);
      const auto session = MakeSession({.num_layers = 3,
                                        .num_kv_heads = 2,
                                        .head_dim = 5,
                                        .value_head_dim = 3,
                                        .kv_dtype = dtype},
                                       pool_);
      AppendTo(*session, 1, IdsFrom(1, length));
      AppendTo(*session, 2, IdsFrom(7000, 3));
      const auto copy = Import(Export(*session), other_);
      ASSERT_TRUE(copy.ok()) << copy.status();
      EXPECT_EQ((*copy)->spec(), session->spec());
      EXPECT_EQ((*copy)->MeasureUsage().layer_lengths,
                session->MeasureUsage().layer_lengths);
      EXPECT_EQ(Compare(**copy, 1, IdsFrom(1, length)), "");
      EXPECT_EQ(Compare(**copy, 2, IdsFrom(7000, 3)), "");
    }
  }
  EXPECT_EQ(other_.used_bytes(), 0);
}

TEST_F(SnapshotTest, ExportOfAnImportIsTheSameButForItsId) {
  const auto session = MakeSession(
      {.num_layers = 2, .num_kv_heads = 1, .head_dim = 4}, pool_, "copy");
  AppendTo(*session, 0, IdsFrom(1, 100));
  const std::string bytes = Export(*session);
  const auto copy = Import(bytes, other_, 7);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_TRUE(Export(**copy) == bytes);
}

// The last page is packed, and partly used: it comes back unpacked, with the
// same elements, and goes on as the source does.
TEST_F(SnapshotTest, TruncatedPackedPageComesBackUnpacked) {
  const auto session = MakeSession({.num_layers = 1,
                                    .num_kv_heads = 2,
                                    .head_dim = 5,
                                    .kv_dtype = KvDtype::kInt8},
                                   pool_);
  AppendTo(*session, 0, IdsFrom(1, 200));
  ASSERT_TRUE(session->Truncate(150, 0).ok());
  const std::string bytes = Export(*session);
  const auto copy = Import(bytes, other_);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(Compare(**copy, 0, IdsFrom(1, 150)), "");
  for (Session* either : {session.get(), copy->get()}) {
    AppendTo(*either, 0, IdsFrom(900, 60));
  }
  test::TokenIds ids = IdsFrom(1, 150);
  const test::TokenIds more = IdsFrom(900, 60);
  ids.insert(ids.end(), more.begin(), more.end());
  EXPECT_EQ(Compare(**copy, 0, ids), "");
  EXPECT_EQ((*copy)->MeasureUsage().kv_bytes, session->MeasureUsage().kv_bytes);
}

TEST_F(SnapshotTest, PackedSnapshotsAreSmall) {
  KvSpec spec{.num_layers = 1, .num_kv_heads = 2, .head_dim = 64};
  const auto wide = MakeSession(spec, pool_);
  spec.kv_dtype = KvDtype::kInt8;
  const auto packed = MakeSession(spec, pool_);
  for (Session* session : {wide.get(), packed.get()}) {
    AppendTo(*session, 0, IdsFrom(1, 640));
  }
  EXPECT_LT(10 * Export(*packed).size(), 3 * Export(*wide).size());
}

TEST_F(SnapshotTest, EveryCutOfTheBytesGivesTheSame) {
  const auto session =
      MakeSession({.num_layers = 2, .num_kv_heads = 1, .head_dim = 2}, pool_);
  AppendTo(*session, 0, IdsFrom(1, 65));
  const std::string bytes = Export(*session);
  for (const size_t cut : {size_t{1}, size_t{3}, size_t{64}, bytes.size()}) {
    const auto copy = Import(bytes, other_, cut);
    ASSERT_TRUE(copy.ok()) << copy.status() << " cut " << cut;
    EXPECT_EQ(Compare(**copy, 0, IdsFrom(1, 65)), "");
  }
}

TEST_F(SnapshotTest, SnapshotsOfManyChunksAndPiecesComeBack) {
  const auto session = MakeSession({.num_layers = 2,
                                    .num_kv_heads = 3,
                                    .head_dim = 65,
                                    .value_head_dim = 80},
                                   pool_);
  AppendTo(*session, 0, IdsFrom(1, 700));
  AppendTo(*session, 1, IdsFrom(2, 699));
  SnapshotWriter writer(*session);
  std::string chunk, bytes;
  for (writer.Next(chunk); !chunk.empty(); writer.Next(chunk)) {
    EXPECT_LE(chunk.size(), SnapshotWriter::kChunkBytes);
    bytes += chunk;
  }
  EXPECT_GT(bytes.size(), 2 * SnapshotWriter::kChunkBytes);
  const auto copy = Import(bytes, other_, 100'001);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(Compare(**copy, 0, IdsFrom(1, 700)), "");
  EXPECT_EQ(Compare(**copy, 1, IdsFrom(2, 699)), "");
}

TEST_F(SnapshotTest, WindowsKeepTheirTokensAndGoOnAsTheSourceDoes) {
  const KvSpec spec{
      .num_layers = 1, .num_kv_heads = 1, .head_dim = 4, .window = 70};
  const auto session = MakeSession(spec, pool_);
  test::TokenIds ids = IdsFrom(1, 300);
  AppendTo(*session, 0, ids);
  AppendTo(*session, 0, {301});
  ids.push_back(301);
  ASSERT_GT(session->Lock(0)->first_token(), 0);
  const auto copy = Import(Export(*session), other_);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ((*copy)->Lock(0)->first_token(), session->Lock(0)->first_token());
  const test::TokenIds more = IdsFrom(302, 150);
  ids.insert(ids.end(), more.begin(), more.end());
  AppendTo(**copy, 0, more);
  EXPECT_EQ(Compare(**copy, 0, ids), "");
}

TEST_F(SnapshotTest, ForksAreExportedWithoutWhatOthersWroteBehindThem) {
  const KvSpec spec{.num_layers = 1, .num_kv_heads = 2, .head_dim = 4};
  const auto source = MakeSession(spec, pool_, "copy");
  AppendTo(*source, 0, IdsFrom(1, 70));
  const auto fork = MakeSession(spec, pool_, "copy");
  ASSERT_TRUE(fork->ForkFrom(*source, std::nullopt).ok());
  AppendTo(*source, 0, IdsFrom(900, 20));
  const std::string bytes = Export(*fork);
  const auto copy = Import(bytes, other_);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(Compare(**copy, 0, IdsFrom(1, 70)), "");
  EXPECT_TRUE(test::HasZeroTail((*copy)->Lock(0)->Snapshot()));
  EXPECT_TRUE(Export(**copy) == bytes) << "zeroes are exported, too";
}

TEST_F(SnapshotTest, WriterKeepsTheMomentAtWhichItWasMade) {
  const auto session =
      MakeSession({.num_layers = 2, .num_kv_heads = 1, .head_dim = 4}, pool_);
  AppendTo(*session, 0, IdsFrom(1, 100));
  SnapshotWriter writer(*session);
  AppendTo(*session, 0, IdsFrom(101, 100));
  ASSERT_TRUE(session->Truncate(10, 0).ok());
  AppendTo(*session, 0, IdsFrom(5000, 200));
  AppendTo(*session, 1, IdsFrom(9000, 2));
  const auto copy = Import(test::BytesOf(writer), other_);
  ASSERT_TRUE(copy.ok()) << copy.status();
  EXPECT_EQ(Compare(**copy, 0, IdsFrom(1, 100)), "");
  EXPECT_EQ((*copy)->MeasureUsage().layer_lengths[1], 0);
}

TEST_F(SnapshotTest, WriterOutlivesItsSession) {
  auto session =
      MakeSession({.num_layers = 1, .num_kv_heads = 1, .head_dim = 4}, pool_);
  AppendTo(*session, 0, IdsFrom(1, 100));
  {
    SnapshotWriter writer(*session);
    session.reset();
    const auto copy = Import(test::BytesOf(writer), other_);
    ASSERT_TRUE(copy.ok()) << copy.status();
    EXPECT_EQ(Compare(**copy, 0, IdsFrom(1, 100)), "");
  }
  EXPECT_EQ(pool_.used_bytes(), 0);
}

// Token i goes to layer 0 first, then to layer 1; a fork writes behind both.
TEST_F(SnapshotTest, ExportsDuringAppendsAreEachOfOneMoment) {
  constexpr int64_t kTokens = 150;
  const KvSpec spec{.num_layers = 2, .num_kv_heads = 1, .head_dim = 4};
  const auto session = MakeSession(spec, pool_, "copy");
  std::thread appender([&session] {
    for (int64_t i = 1; i <= kTokens; ++i) {
      AppendTo(*session, 0, IdsFrom(i, 1));
      AppendTo(*session, 1, IdsFrom(i, 1));
    }
  });
  std::vector<int64_t> lengths(2);
  while (lengths[1] < kTokens) {
    const auto fork = MakeSession(spec, pool_, "fork");
    ASSERT_TRUE(fork->ForkFrom(*session, std::nullopt).ok());
    const auto copy = Import(Export(*session), other_);
    ASSERT_TRUE(copy.ok()) << copy.status();
    lengths = (*copy)->MeasureUsage().layer_lengths;
    ASSERT_LE(lengths[0] - lengths[1], 1);
    ASSERT_GE(lengths[0], lengths[1]);
    ASSERT_EQ(Compare(**copy, 0, IdsFrom(1, lengths[0])), "");
    ASSERT_EQ(Compare(**copy, 1, IdsFrom(1, lengths[1])), "");
    // The fork is the tail's other table: it copies, or the source does.
    AppendTo(*fork, 0, IdsFrom(9000, 3));
  }
  appender.join();
}

TEST_F(SnapshotTest, ImportedSessionAppendsForksAndTruncates) {
  const KvSpec spec{.num_layers = 1, .num_kv_heads = 1, .head_dim = 4};
  const auto session = MakeSession(spec, pool_);
  AppendTo(*session, 0, IdsFrom(1, 100));
  const auto copy = Import(Export(*session), other_);
  ASSERT_TRUE(copy.ok()) << copy.status();
  AppendTo(**copy, 0, IdsFrom(101, 40));
  EXPECT_EQ(Compare(**copy, 0, IdsFrom(1, 140)), "");
  const auto fork = MakeSession(spec, other_, "fork");
  ASSERT_TRUE(fork->ForkFrom(**copy, 90).ok());
  ASSERT_TRUE((*copy)->Truncate(80, std::nullopt).ok());
  AppendTo(*fork, 0, IdsFrom(91, 5));
  EXPECT_EQ(Compare(*fork, 0, IdsFrom(1, 95)), "");
  EXPECT_EQ(Compare(**copy, 0, IdsFrom(1, 80)), "");
}

}  // namespace
}  // namespace attn
