#include "core/kv_cache/session_ends.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace attn {
namespace {

using std::chrono::minutes;

constexpr TimePoint kStart{std::chrono::hours(1)};

TEST(SessionEndsTest, EndIsRememberedForAnHour) {
  SessionEnds ends;
  ends.Remember("a", SessionEnd::kExpired, kStart);
  EXPECT_EQ(ends.Find("a", kStart + minutes(59)), SessionEnd::kExpired);
  EXPECT_EQ(ends.Find("a", kStart + minutes(60)), std::nullopt);
  EXPECT_EQ(ends.Find("b", kStart), std::nullopt);
}

TEST(SessionEndsTest, OldEndsGiveTheirMemoryBack) {
  SessionEnds ends;
  ends.Remember("a", SessionEnd::kExpired, kStart);
  ends.Remember("b", SessionEnd::kDeleted, kStart + minutes(30));
  ends.ForgetOld(kStart + minutes(60));
  EXPECT_EQ(ends.size(), 1);
  EXPECT_EQ(ends.Find("b", kStart + minutes(60)), SessionEnd::kDeleted);
}

TEST(SessionEndsTest, LaterEndOfTheSameIdCounts) {
  SessionEnds ends;
  ends.Remember("a", SessionEnd::kExpired, kStart);
  ends.Remember("a", SessionEnd::kDeleted, kStart + minutes(30));
  EXPECT_EQ(ends.size(), 1);
  EXPECT_EQ(ends.Find("a", kStart + minutes(80)), SessionEnd::kDeleted);
  ends.Forget("a");
  ends.Forget("a");
  EXPECT_EQ(ends.size(), 0);
}

TEST(SessionEndsTest, OldestIsForgottenFirstWhenThereAreTooMany) {
  SessionEnds ends;
  for (int64_t i = 0; i <= SessionEnds::kMaxEnds; ++i) {
    ends.Remember(std::to_string(i), SessionEnd::kDeleted, kStart);
  }
  EXPECT_EQ(ends.size(), SessionEnds::kMaxEnds);
  EXPECT_EQ(ends.Find("0", kStart), std::nullopt);
  EXPECT_EQ(ends.Find("1", kStart), SessionEnd::kDeleted);
}

}  // namespace
}  // namespace attn
