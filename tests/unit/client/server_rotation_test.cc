#include "client/cpp/server_rotation.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attn::client {
namespace {

using testing::ElementsAre;

constexpr absl::Time kNow = absl::UnixEpoch();

std::vector<size_t> Next(ServerRotation& rotation, int calls, absl::Time now) {
  std::vector<size_t> servers;
  for (int i = 0; i < calls; ++i) {
    servers.push_back(rotation.Next(now));
  }
  return servers;
}

TEST(ServerRotationTest, GivesEachInTurn) {
  ServerRotation rotation(3, absl::Seconds(1));
  EXPECT_THAT(Next(rotation, 5, kNow), ElementsAre(0, 1, 2, 0, 1));
}

TEST(ServerRotationTest, PassesOverOneThatIsAwayUntilThePauseEnds) {
  ServerRotation rotation(3, absl::Seconds(1));
  rotation.MarkAway(1, kNow);
  EXPECT_THAT(Next(rotation, 4, kNow + absl::Milliseconds(999)),
              ElementsAre(0, 2, 0, 2));
  EXPECT_THAT(Next(rotation, 3, kNow + absl::Seconds(1)), ElementsAre(0, 1, 2));
}

TEST(ServerRotationTest, GivesOneAllTheSameWhereAllAreAway) {
  ServerRotation rotation(2, absl::Seconds(1));
  rotation.MarkAway(0, kNow);
  rotation.MarkAway(1, kNow);
  EXPECT_THAT(Next(rotation, 3, kNow), ElementsAre(0, 1, 0));
}

}  // namespace
}  // namespace attn::client
