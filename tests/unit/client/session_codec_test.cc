#include "client/cpp/session_codec.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"

namespace attn::client {
namespace {

using google::protobuf::TextFormat;
using google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;

constexpr char kSpecText[] = R"pb(
  num_layers: 2
  num_kv_heads: 3
  head_dim: 4
  value_head_dim: 5
  kv_dtype: KV_DTYPE_BF16
  max_length: 6
  window: 7
  idle_ttl { seconds: 8 nanos: 500000000 }
)pb";

// Every field with a value of its own.
SessionSpec FullSpec() {
  return {.num_layers = 2,
          .num_kv_heads = 3,
          .head_dim = 4,
          .value_head_dim = 5,
          .kv_dtype = KvDtype::kBf16,
          .max_length = 6,
          .window = 7,
          .idle_ttl = absl::Milliseconds(8500)};
}

Tensor Bytes(size_t count, char fill) {
  return Tensor::Own(DType::kBool, {static_cast<int64_t>(count)},
                     std::string(count, fill));
}

TEST(SessionCodecTest, EncodesEveryFieldOfASpec) {
  attn::v1::SessionSpec expected;
  ASSERT_TRUE(TextFormat::ParseFromString(kSpecText, &expected));
  attn::v1::SessionSpec found;
  FillSpec(FullSpec(), found);
  EXPECT_TRUE(MessageDifferencer::Equals(expected, found))
      << found.DebugString();
  // A field that the contract gains must be added here and in the codec.
  EXPECT_EQ(attn::v1::SessionSpec::descriptor()->field_count(), 8);
}

TEST(SessionCodecTest, AbsentIdleTtlIsNotSentAndZeroIs) {
  attn::v1::SessionSpec found;
  FillSpec({}, found);
  EXPECT_FALSE(found.has_idle_ttl());
  FillSpec({.idle_ttl = absl::ZeroDuration()}, found);
  EXPECT_TRUE(found.has_idle_ttl());
}

TEST(SessionCodecTest, NegativeAndInfiniteTtlArriveAsSuch) {
  attn::v1::SessionSpec found;
  FillSpec({.idle_ttl = absl::Milliseconds(-1500)}, found);
  EXPECT_EQ(found.idle_ttl().seconds(), -1);
  EXPECT_EQ(found.idle_ttl().nanos(), -500'000'000);
  FillSpec({.idle_ttl = absl::InfiniteDuration()}, found);
  EXPECT_EQ(found.idle_ttl().seconds(), INT64_MAX);
}

TEST(SessionCodecTest, EncodesEveryFieldOfAnAppend) {
  attn::v1::AppendKvRequest expected;
  ASSERT_TRUE(TextFormat::ParseFromString(
      R"pb(
        session { session_id: "s" layer: 3 expected_length: 12 }
        key { dtype: DATA_TYPE_BOOL shape: 2 data: "kk" }
        value { dtype: DATA_TYPE_BOOL shape: 3 data: "vvv" }
        layout: LAYOUT_BSHD
        rope { base: 10000 }
      )pb",
      &expected));
  const AppendRequest request = {
      .session = {.session_id = "s", .layer = 3, .expected_length = 12},
      .key = Bytes(2, 'k'),
      .value = Bytes(3, 'v'),
      .layout = Layout::kBshd,
      .rope = RopeParams{.base = 10000}};
  attn::v1::AppendKvRequest found;
  ASSERT_TRUE(found.ParseFromString(EncodeAppend(request).FlattenForTest()));
  EXPECT_TRUE(MessageDifferencer::Equals(expected, found))
      << found.DebugString();
  EXPECT_EQ(attn::v1::AppendKvRequest::descriptor()->field_count(), 5);
}

TEST(SessionCodecTest, LargeTensorsAreReferredToAndNotCopied) {
  const AppendRequest request = {.key = Bytes(100'000, 'k')};
  const auto segments = EncodeAppend(request).TakeSegments();
  ASSERT_EQ(segments.size(), 2);
  EXPECT_EQ(segments[1].bytes.data(), request.key.bytes().data());
}

TEST(SessionCodecTest, DecodesEveryFieldOfASession) {
  attn::v1::Session message;
  ASSERT_TRUE(TextFormat::ParseFromString(
      R"pb(
        session_id: "s"
        layer_lengths: [ 9, 8 ]
        kv_bytes: 10
        shared_kv_bytes: 11
        created_at { seconds: 100 nanos: 1 }
        last_used_at { seconds: 200 nanos: 2 }
      )pb",
      &message));
  ASSERT_TRUE(TextFormat::ParseFromString(kSpecText, message.mutable_spec()));
  const Session session = DecodeSession(message);
  EXPECT_EQ(session.session_id, "s");
  EXPECT_THAT(session.layer_lengths, ElementsAre(9, 8));
  EXPECT_EQ(session.kv_bytes, 10);
  EXPECT_EQ(session.shared_kv_bytes, 11);
  EXPECT_EQ(session.created_at,
            absl::FromUnixSeconds(100) + absl::Nanoseconds(1));
  EXPECT_EQ(session.last_used_at,
            absl::FromUnixSeconds(200) + absl::Nanoseconds(2));
  attn::v1::SessionSpec again;
  FillSpec(session.spec, again);
  attn::v1::SessionSpec sent;
  FillSpec(FullSpec(), sent);
  EXPECT_TRUE(MessageDifferencer::Equals(sent, again)) << again.DebugString();
  EXPECT_EQ(attn::v1::Session::descriptor()->field_count(), 7);
}

TEST(SessionCodecTest, TimesThatTheServerDoesNotSayAreInThePast) {
  attn::v1::Session message;
  const Session session = DecodeSession(message);
  EXPECT_EQ(session.created_at, absl::InfinitePast());
  EXPECT_FALSE(session.spec.idle_ttl.has_value());
}

TEST(SessionCodecTest, PageKeepsOrderAndToken) {
  attn::v1::ListSessionsResponse message;
  message.add_sessions()->set_session_id("a");
  message.add_sessions()->set_session_id("b");
  message.set_next_page_token("t");
  const ListPage page = DecodeListPage(message);
  ASSERT_EQ(page.sessions.size(), 2);
  EXPECT_EQ(page.sessions[1].session_id, "b");
  EXPECT_EQ(page.next_page_token, "t");
}

TEST(SessionCodecTest, SessionIdsAreOfFewLettersAndAtMost64) {
  EXPECT_TRUE(IsSessionId("aZ09_-"));
  EXPECT_TRUE(IsSessionId(std::string(64, 'a')));
  EXPECT_FALSE(IsSessionId(std::string(65, 'a')));
  for (const char* id : {"", "a b", "a\nb", "\xc3\xa4", "a.b"}) {
    EXPECT_FALSE(IsSessionId(id)) << id;
  }
}

}  // namespace
}  // namespace attn::client
