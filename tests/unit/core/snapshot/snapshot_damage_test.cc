// What a reader refuses, and that it leaves nothing behind.
#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "core/base/error.h"
#include "core/snapshot/piece_checksums.h"
#include "core/snapshot/snapshot_header.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/core/snapshot/snapshot_case.h"

namespace attn {
namespace {

using absl::StatusCode;
using test::AppendTo;
using test::Export;
using test::IdsFrom;
using test::Import;
using test::MakeSession;
using testing::HasSubstr;

// `head` with other JSON, and the checksum of that.
std::string WithJson(const std::string& json) {
  std::string head(8, '\0');
  for (size_t i = 0; i < 8; ++i) {
    head[i] = static_cast<char>((json.size() >> (8 * i)) & 0xff);
  }
  head += json;
  return head + EncodeChecksum(Checksum(head));
}

class SnapshotDamageTest : public testing::Test {
 protected:
  static KvSpec Spec() {
    return {.num_layers = 2,
            .num_kv_heads = 1,
            .head_dim = 1,
            .kv_dtype = KvDtype::kF16};
  }
  // A small snapshot: 130 tokens in layer 1.
  std::string Small(int64_t length = 130, KvDtype dtype = KvDtype::kF16) {
    KvSpec spec = Spec();
    spec.kv_dtype = dtype;
    const auto session = MakeSession(spec, pool_);
    AppendTo(*session, 1, IdsFrom(1, length));
    return Export(*session);
  }
  // The small one, whose header's JSON has `to` instead of `from`.
  std::string Edited(const std::string& from, const std::string& to) {
    const std::string bytes = Small();
    const size_t json_bytes = *ParseHeaderSize(bytes.substr(0, 8));
    const std::string json = bytes.substr(8, json_bytes);
    const std::string edited = absl::StrReplaceAll(json, {{from, to}});
    EXPECT_NE(json, edited) << from;
    return WithJson(edited) + bytes.substr(16 + json_bytes);
  }
  void ExpectRefused(const std::string& bytes, StatusCode code, Reason reason,
                     const std::string& text) {
    const absl::Status status = Import(bytes, pool_).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(ReasonOf(status), reason) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(text));
    EXPECT_EQ(pool_.used_bytes(), 0);
  }
  void ExpectDamaged(const std::string& bytes, const std::string& text = "") {
    ExpectRefused(bytes, StatusCode::kDataLoss, Reason::kSnapshotDamaged, text);
  }

  void ExpectEveryFlippedBitIsRefused(std::string bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
        const absl::Status status = Import(bytes, pool_).status();
        ASSERT_EQ(ReasonOf(status), Reason::kSnapshotDamaged)
            << "byte " << i << ", bit " << bit << ": " << status;
        bytes[i] = static_cast<char>(bytes[i] ^ (1 << bit));
      }
    }
    EXPECT_TRUE(Import(bytes, pool_).ok());
    EXPECT_EQ(pool_.used_bytes(), 0);
  }

  PagePool pool_{int64_t{8} << 20};
};

TEST_F(SnapshotDamageTest, EveryFlippedBitIsRefused) {
  for (const KvDtype dtype : {KvDtype::kF16, KvDtype::kInt8}) {
    ExpectEveryFlippedBitIsRefused(Small(1, dtype));
  }
}

TEST_F(SnapshotDamageTest, EveryTruncationIsRefused) {
  for (const KvDtype dtype : {KvDtype::kF16, KvDtype::kInt8}) {
    const std::string bytes = Small(130, dtype);
    for (size_t size = 0; size < bytes.size(); ++size) {
      const absl::Status status = Import(bytes.substr(0, size), pool_).status();
      ASSERT_EQ(ReasonOf(status), Reason::kSnapshotDamaged) << size << status;
    }
  }
  EXPECT_EQ(pool_.used_bytes(), 0);
}

TEST_F(SnapshotDamageTest, BytesBehindTheEndAreRefused) {
  ExpectDamaged(Small() + std::string(1, '\0'), "goes on behind its end");
  ExpectDamaged(Small() + Small(), "goes on behind its end");
}

TEST_F(SnapshotDamageTest, DroppedReaderGivesItsPagesBack) {
  const std::string bytes = Small();
  {
    SnapshotReader reader(pool_, {}, test::Everybody());
    ASSERT_TRUE(reader.Add(bytes.substr(0, bytes.size() - 1)).ok());
    EXPECT_GT(pool_.used_bytes(), 0);
  }
  EXPECT_EQ(pool_.used_bytes(), 0);
}

TEST_F(SnapshotDamageTest, ForgedHeadersAreRefusedWithTheDifference) {
  ExpectDamaged(WithJson("{}"), "__metadata__.format");
  ExpectDamaged(WithJson("[]"), "not the JSON");
  ExpectDamaged(WithJson("{\"a\":"), "not the JSON");
  ExpectDamaged(WithJson("{\"__metadata__\":[]}"), "__metadata__.format");
  ExpectDamaged(WithJson(std::string(100'000, '[')), "not the JSON");
  std::string deep(100'000, '[');
  ExpectDamaged(WithJson(deep + std::string(100'000, ']')), "not the JSON");
  ExpectDamaged(Edited("\"data_offsets\":[0,8]", "\"data_offsets\":[0,9]"),
                "header: crc32c.header.data_offsets must be [0,8]; got [0,9]");
  ExpectDamaged(Edited("layers.1.key", "layers.1.kez"),
                "layers.1.key is missing");
  ExpectDamaged(Edited("\"dtype\":\"F16\"", "\"dtype\":\"F32\""),
                "dtype must be \"F16\"; got \"F32\"");
  ExpectDamaged(Edited("\"session_id\":\"source\"", "\"session_id\":\"a b\""),
                "session_id");
  ExpectDamaged(Edited("\"window\":\"0\"", "\"window\":\" 0\""), "window");
  ExpectDamaged(Edited("\"window\":\"0\"", "\"window\":0"), "window");
  ExpectDamaged(Edited("\"window\":\"0\"", "\"window\":\"00\""), "window");
}

TEST_F(SnapshotDamageTest, UnknownFieldsAreRefused) {
  ExpectDamaged(Edited("{\"__metadata__\":", "{\"more\":{},\"__metadata__\":"),
                "\"more\" is not known");
  ExpectDamaged(Edited("\"window\":", "\"colour\":\"red\",\"window\":"),
                "\"colour\" is not known");
}

TEST_F(SnapshotDamageTest, ExtentsThatNoSessionHasAreRefused) {
  ExpectDamaged(
      Edited("\"layer_lengths\":\"0,130\"", "\"layer_lengths\":\"0,-1\""),
      "layer_lengths[1]");
  ExpectDamaged(Edited("\"layer_lengths\":\"0,130\"",
                       "\"layer_lengths\":\"0,99999999999999\""),
                "layer_lengths[1]");
  ExpectDamaged(
      Edited("\"layer_lengths\":\"0,130\"", "\"layer_lengths\":\"0\""),
      "differ in number");
  ExpectDamaged(Edited("\"first_tokens\":\"0,0\"", "\"first_tokens\":\"0,64\""),
                "first_tokens[1]");
  ExpectDamaged(Edited("\"first_tokens\":\"0,0\"", "\"first_tokens\":\"0,1\""),
                "first_tokens[1]");
}

TEST_F(SnapshotDamageTest, OtherDtypesThanThePagesHaveAreRefused) {
  ExpectDamaged(Edited("\"kv_dtype\":\"F16\"", "\"kv_dtype\":\"INT8\""),
                "layout");
  ExpectDamaged(Edited("\"kv_dtype\":\"F16\"", "\"kv_dtype\":\"INT4\""),
                "kv_dtype is not known");
}

TEST_F(SnapshotDamageTest, SpecsThatThisServerDoesNotTakeSaySo) {
  ExpectRefused(Edited("\"num_kv_heads\":\"1\"", "\"num_kv_heads\":\"0\""),
                StatusCode::kInvalidArgument, Reason::kInvalidOption,
                "spec.num_kv_heads must be between 1 and");
  ExpectRefused(Edited("\"num_layers\":\"2\"", "\"num_layers\":\"1000000\""),
                StatusCode::kInvalidArgument, Reason::kInvalidOption,
                "spec.num_layers");
  ExpectRefused(Edited("attnserve.snapshot/1", "attnserve.snapshot/2"),
                StatusCode::kUnimplemented, Reason::kNotServed,
                "attnserve.snapshot/2");
  const absl::Status status =
      Import(Small(), pool_, 100, {.max_length = 1000}).status();
  EXPECT_EQ(ReasonOf(status), Reason::kInvalidOption);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("spec.max_length must be between 0 and 1000"));
}

TEST_F(SnapshotDamageTest, ChecksumsNameThePieceOfPages) {
  std::string bytes = Small();
  bytes[bytes.size() - 9] ^= 1;
  ExpectDamaged(bytes, "the checksum of MiB 0 of its pages is wrong");
}

TEST_F(SnapshotDamageTest, QuotaIsCheckedBeforeTheFirstPage) {
  Tenant tenant("t", 1, {.max_kv_bytes = 512});
  const std::string bytes = Small();
  SnapshotReader reader(pool_, {}, tenant);
  const size_t json_bytes = *ParseHeaderSize(bytes.substr(0, 8));
  const absl::Status status = reader.Add(bytes.substr(0, 16 + json_bytes));
  EXPECT_EQ(ReasonOf(status), Reason::kQuota) << status;
  EXPECT_EQ(status.message(),
            "KV memory of tenant t must be at most 512 bytes; 0 are in use, "
            "and 768 more do not fit");
  EXPECT_EQ(tenant.kv_bytes(), 0);
}

TEST_F(SnapshotDamageTest, ImportedPagesAreTheTenants) {
  Tenant tenant("t", 1, {.max_kv_bytes = 768});
  {
    const auto copy = Import(Small(), pool_, 100, {}, tenant);
    ASSERT_TRUE(copy.ok()) << copy.status();
    EXPECT_EQ(&(*copy)->tenant(), &tenant);
    EXPECT_EQ(tenant.kv_bytes(), 768);
  }
  EXPECT_EQ(tenant.kv_bytes(), 0);
}

TEST_F(SnapshotDamageTest, BudgetIsCheckedBeforeTheFirstPage) {
  PagePool tiny(512);
  const std::string bytes = Small();
  SnapshotReader reader(tiny, {}, test::Everybody());
  const size_t json_bytes = *ParseHeaderSize(bytes.substr(0, 8));
  const absl::Status status = reader.Add(bytes.substr(0, 16 + json_bytes));
  EXPECT_EQ(ReasonOf(status), Reason::kKvMemory) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("they have 768 bytes, and 512 are left"));
  EXPECT_EQ(tiny.slab_bytes(), 0);
}

TEST(PieceChecksumsTest, AreCastagnolis) {
  EXPECT_EQ(Checksum("123456789"), 0xe3069283u);  // RFC 3720's check value.
  EXPECT_EQ(Checksum(""), 0u);
  EXPECT_EQ(EncodeChecksum(0xe3069283u),
            std::string("\x83\x92\x06\xe3\0\0\0\0", 8));
}

TEST(PieceChecksumsTest, OnePerMebibyteHoweverCut) {
  const std::string data((size_t{1} << 20) + 5, 'x');
  PieceChecksums pieces;
  const auto* bytes = reinterpret_cast<const std::byte*>(data.data());
  for (size_t at = 0; at < data.size(); at += 1000) {
    const size_t n = std::min<size_t>(1000, data.size() - at);
    pieces.Add(bytes + at, static_cast<int64_t>(n));
  }
  const std::string_view whole = data;
  EXPECT_EQ(pieces.Finish(),
            EncodeChecksum(Checksum(whole.substr(0, 1 << 20))) +
                EncodeChecksum(Checksum("xxxxx")));
  EXPECT_EQ(NumPieces(std::ssize(data)), 2);
}

}  // namespace
}  // namespace attn
