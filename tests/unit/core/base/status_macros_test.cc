#include "core/base/status_macros.h"

#include <memory>

#include "gtest/gtest.h"

namespace attn {
namespace {

absl::Status ReturnsIfError(const absl::Status& status, bool& went_on) {
  ATTN_RETURN_IF_ERROR(status);
  went_on = true;
  return absl::OkStatus();
}

absl::StatusOr<int> Assigns(absl::StatusOr<std::unique_ptr<int>> from) {
  ATTN_ASSIGN_OR_RETURN(const std::unique_ptr<int> value, std::move(from));
  return *value;
}

TEST(StatusMacrosTest, ReturnIfErrorLeavesWithTheError) {
  bool went_on = false;
  const absl::Status error = absl::InternalError("broken");
  EXPECT_EQ(ReturnsIfError(error, went_on), error);
  EXPECT_FALSE(went_on);
}

TEST(StatusMacrosTest, ReturnIfErrorGoesOnAfterOk) {
  bool went_on = false;
  EXPECT_TRUE(ReturnsIfError(absl::OkStatus(), went_on).ok());
  EXPECT_TRUE(went_on);
}

TEST(StatusMacrosTest, AssignOrReturnMovesTheValue) {
  EXPECT_EQ(Assigns(std::make_unique<int>(7)).value(), 7);
}

TEST(StatusMacrosTest, AssignOrReturnLeavesWithTheError) {
  EXPECT_EQ(Assigns(absl::NotFoundError("none")).status(),
            absl::NotFoundError("none"));
}

}  // namespace
}  // namespace attn
