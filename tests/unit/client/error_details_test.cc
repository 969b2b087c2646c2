#include "client/cpp/error_details.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace attn::client {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

// What the server puts into grpc-status-details-bin.
std::string Trailer() {
  google::rpc::ErrorInfo info;
  info.set_reason("QUEUE_FULL");
  info.set_domain("attnserve");
  (*info.mutable_metadata())["found_length"] = "7";
  google::rpc::BadRequest bad;
  auto* violation = bad.add_field_violations();
  violation->set_field("key.shape[3]");
  violation->set_description("must equal query.shape[3]");
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_nanos(250'000'000);
  google::rpc::Status status;
  status.add_details()->PackFrom(info);
  status.add_details()->PackFrom(bad);
  status.add_details()->PackFrom(retry);
  return status.SerializeAsString();
}

TEST(ErrorDetailsTest, PayloadsCarryReasonFieldsAndDelay) {
  const absl::Status status = MakeStatus(8, "full", Trailer());
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ErrorReason(status), "QUEUE_FULL");
  EXPECT_THAT(ErrorMetadata(status), ElementsAre(Pair("found_length", "7")));
  ASSERT_EQ(FieldViolations(status).size(), 1);
  EXPECT_EQ(FieldViolations(status)[0].field, "key.shape[3]");
  EXPECT_EQ(RetryDelay(status), absl::Milliseconds(250));
  EXPECT_EQ(DescribeError(status),
            "RESOURCE_EXHAUSTED (QUEUE_FULL): full\n"
            "  key.shape[3]: must equal query.shape[3]\n"
            "  retry after 250ms\n"
            "  found length 7");
  EXPECT_EQ(FoundLength(status), 7);
}

TEST(ErrorDetailsTest, FoundLengthIsNothingWhereItIsNoNumber) {
  google::rpc::ErrorInfo info;
  (*info.mutable_metadata())["found_length"] = "many";
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  EXPECT_FALSE(
      FoundLength(MakeStatus(9, "x", details.SerializeAsString())).has_value());
}

TEST(ErrorDetailsTest, ErrorsWithoutDetailsHaveNone) {
  const absl::Status status = MakeStatus(14, "gone", "");
  EXPECT_EQ(ErrorReason(status), "");
  EXPECT_TRUE(FieldViolations(status).empty());
  EXPECT_FALSE(RetryDelay(status).has_value());
  EXPECT_FALSE(FoundLength(status).has_value());
  EXPECT_EQ(DescribeError(status), "UNAVAILABLE: gone");
}

TEST(ErrorDetailsTest, DamagedTrailerKeepsCodeAndMessage) {
  const absl::Status status = MakeStatus(3, "bad", "\xff\xff\xff");
  EXPECT_EQ(status, absl::InvalidArgumentError("bad"));
}

TEST(ErrorDetailsTest, UnknownCodeBecomesUnknown) {
  EXPECT_EQ(MakeStatus(99, "x", "").code(), absl::StatusCode::kUnknown);
  EXPECT_TRUE(MakeStatus(0, "", "").ok());
}

}  // namespace
}  // namespace attn::client
