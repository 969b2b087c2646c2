#include "core/base/error.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace attn {
namespace {

using std::chrono::milliseconds;

TEST(ErrorTest, InvalidTensorSaysFieldRuleAndFound) {
  const absl::Status status =
      InvalidTensor("key.shape[3]", "must equal query.shape[3]", "64 vs 128");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(),
            "key.shape[3] must equal query.shape[3]; got 64 vs 128");
  EXPECT_EQ(ReasonOf(status), Reason::kInvalidTensor);
  EXPECT_EQ(FieldOf(status), "key.shape[3]");
  EXPECT_EQ(RetryAfterOf(status), std::nullopt);
}

TEST(ErrorTest, InvalidOptionHasItsOwnReason) {
  const absl::Status status =
      InvalidOption("params.scale", "must be finite", "nan");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "params.scale must be finite; got nan");
  EXPECT_EQ(ReasonOf(status), Reason::kInvalidOption);
  EXPECT_EQ(FieldOf(status), "params.scale");
}

TEST(ErrorTest, TooLargeSaysBothNumbers) {
  const absl::Status status = TooLarge("the reply", 4398046511104.0, 1024);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(),
            "the reply must be at most 1024 bytes; got 4398046511104");
  EXPECT_EQ(ReasonOf(status), Reason::kRequestTooLarge);
  EXPECT_EQ(FieldOf(status), std::nullopt);
}

TEST(ErrorTest, QueueFullCarriesTheRetryTime) {
  const absl::Status status = QueueFull("no room", milliseconds(250));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "no room");
  EXPECT_EQ(ReasonOf(status), Reason::kQueueFull);
  EXPECT_EQ(RetryAfterOf(status), milliseconds(250));
}

TEST(ErrorTest, NotServedNamesFieldAndValue) {
  const absl::Status status = NotServed("snapshot.format", "x/2");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status.message(),
            "snapshot.format x/2 is not served by this version");
  EXPECT_EQ(ReasonOf(status), Reason::kNotServed);
  EXPECT_EQ(FieldOf(status), "snapshot.format");
}

TEST(ErrorTest, OtherStatusesHaveNoParts) {
  for (const absl::Status& status :
       {absl::OkStatus(), absl::InternalError("broken")}) {
    EXPECT_EQ(ReasonOf(status), Reason::kNone);
    EXPECT_EQ(FieldOf(status), std::nullopt);
    EXPECT_EQ(RetryAfterOf(status), std::nullopt);
    EXPECT_EQ(FoundLengthOf(status), std::nullopt);
  }
}

TEST(ErrorTest, LengthMismatchCarriesTheFoundLength) {
  const absl::Status status = LengthMismatch(
      "session.expected_length", "must equal the layer's length", "5 vs 7", 7);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(
      status.message(),
      "session.expected_length must equal the layer's length; got 5 vs 7");
  EXPECT_EQ(ReasonOf(status), Reason::kLengthMismatch);
  EXPECT_EQ(FieldOf(status), "session.expected_length");
  EXPECT_EQ(FoundLengthOf(status), 7);
}

TEST(ErrorTest, EveryReasonSurvivesTheRoundTripUnderItsOwnName) {
  std::set<std::string_view> names;
  constexpr Reason kAll[] = {Reason::kNone,
                             Reason::kInvalidTensor,
                             Reason::kInvalidOption,
                             Reason::kRequestTooLarge,
                             Reason::kQueueFull,
                             Reason::kDeadlineUnreachable,
                             Reason::kDraining,
                             Reason::kNotServed,
                             Reason::kKvMemory,
                             Reason::kQuota,
                             Reason::kSessionNeverExisted,
                             Reason::kSessionExpired,
                             Reason::kSessionDeleted,
                             Reason::kServerRestarted,
                             Reason::kLengthMismatch,
                             Reason::kSpecMismatch,
                             Reason::kMaxLength,
                             Reason::kSessionExists,
                             Reason::kSnapshotDamaged,
                             Reason::kLayerNotFound,
                             Reason::kLayerNotLoaded,
                             Reason::kLayerLoaded,
                             Reason::kLayerMemory,
                             Reason::kBadCheckpoint};
  for (const Reason reason : kAll) {
    EXPECT_EQ(ReasonOf(MakeError(absl::StatusCode::kUnknown, reason, "m")),
              reason);
    names.insert(ReasonName(reason));
  }
  EXPECT_EQ(names.size(), std::size(kAll));
}

TEST(ErrorTest, ReasonNamesAreThoseOfTheContract) {
  EXPECT_EQ(ReasonName(Reason::kNone), "");
  EXPECT_EQ(ReasonName(Reason::kInvalidTensor), "INVALID_TENSOR");
  EXPECT_EQ(ReasonName(Reason::kInvalidOption), "INVALID_OPTION");
  EXPECT_EQ(ReasonName(Reason::kRequestTooLarge), "REQUEST_TOO_LARGE");
  EXPECT_EQ(ReasonName(Reason::kQueueFull), "QUEUE_FULL");
  EXPECT_EQ(ReasonName(Reason::kDeadlineUnreachable), "DEADLINE_UNREACHABLE");
  EXPECT_EQ(ReasonName(Reason::kDraining), "DRAINING");
  EXPECT_EQ(ReasonName(Reason::kNotServed), "NOT_SERVED");
  EXPECT_EQ(ReasonName(Reason::kKvMemory), "KV_MEMORY");
  EXPECT_EQ(ReasonName(Reason::kQuota), "QUOTA");
  EXPECT_EQ(ReasonName(Reason::kSessionNeverExisted), "SESSION_NEVER_EXISTED");
  EXPECT_EQ(ReasonName(Reason::kSessionExpired), "SESSION_EXPIRED");
  EXPECT_EQ(ReasonName(Reason::kSessionDeleted), "SESSION_DELETED");
  EXPECT_EQ(ReasonName(Reason::kServerRestarted), "SERVER_RESTARTED");
  EXPECT_EQ(ReasonName(Reason::kLengthMismatch), "LENGTH_MISMATCH");
  EXPECT_EQ(ReasonName(Reason::kSpecMismatch), "SPEC_MISMATCH");
  EXPECT_EQ(ReasonName(Reason::kMaxLength), "MAX_LENGTH");
  EXPECT_EQ(ReasonName(Reason::kSessionExists), "SESSION_EXISTS");
  EXPECT_EQ(ReasonName(Reason::kSnapshotDamaged), "SNAPSHOT_DAMAGED");
  EXPECT_EQ(ReasonName(Reason::kLayerNotFound), "LAYER_NOT_FOUND");
  EXPECT_EQ(ReasonName(Reason::kLayerNotLoaded), "LAYER_NOT_LOADED");
  EXPECT_EQ(ReasonName(Reason::kLayerLoaded), "LAYER_LOADED");
  EXPECT_EQ(ReasonName(Reason::kLayerMemory), "LAYER_MEMORY");
  EXPECT_EQ(ReasonName(Reason::kBadCheckpoint), "BAD_CHECKPOINT");
}

TEST(ErrorTest, PublicMessageHidesWhatBrokeInside) {
  EXPECT_EQ(PublicMessage(absl::InternalError("dnnl: out of luck")),
            "internal error");
}

TEST(ErrorTest, PublicMessageIsCutSoThatTrailersStaySmall) {
  const absl::Status status = absl::UnknownError(std::string(5000, 'x'));
  EXPECT_EQ(PublicMessage(status).size(), 1024u);
}

}  // namespace
}  // namespace attn
