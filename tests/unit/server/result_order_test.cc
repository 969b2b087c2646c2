#include "server/result_order.h"

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ResultOrderTest : public ::testing::Test {
 protected:
  void Add(uint64_t id, const std::string& result) {
    order_.Add(id, result, ready_);
  }

  ResultOrder<std::string> order_;
  std::deque<std::string> ready_;
};

TEST_F(ResultOrderTest, ThoseWithoutLaneLeaveAsTheyFinish) {
  Add(2, "2");
  Add(1, "1");
  EXPECT_THAT(ready_, ElementsAre("2", "1"));
}

TEST_F(ResultOrderTest, ThoseOfALaneLeaveInTheOrderOfTheirRequests) {
  for (uint64_t id = 0; id < 3; ++id) order_.Expect(id, "a");
  Add(2, "2");
  Add(1, "1");
  EXPECT_THAT(ready_, IsEmpty());
  EXPECT_EQ(order_.num_held(), 2);
  Add(0, "0");
  EXPECT_THAT(ready_, ElementsAre("0", "1", "2"));
  EXPECT_EQ(order_.num_held(), 0);
}

TEST_F(ResultOrderTest, LanesDoNotWaitForEachOther) {
  order_.Expect(0, "a");
  order_.Expect(1, "b");
  order_.Expect(3, "a");
  Add(3, "a1");
  Add(1, "b0");
  Add(2, "free");
  EXPECT_THAT(ready_, ElementsAre("b0", "free"));
  Add(0, "a0");
  EXPECT_THAT(ready_, ElementsAre("b0", "free", "a0", "a1"));
}

TEST_F(ResultOrderTest, ClearForgetsWhatIsHeld) {
  order_.Expect(0, "a");
  order_.Expect(1, "a");
  Add(1, "1");
  order_.Clear();
  EXPECT_EQ(order_.num_held(), 0);
  Add(0, "0");
  EXPECT_THAT(ready_, ElementsAre("0"));
}

TEST_F(ResultOrderTest, AnyOrderOfFinishingKeepsEachLane) {
  constexpr uint64_t kSeed = 20261121;
  std::mt19937_64 random(kSeed);
  std::vector<uint64_t> ids(200);
  std::map<std::string, std::vector<std::string>> expected;
  for (uint64_t id = 0; id < ids.size(); ++id) {
    ids[id] = id;
    const std::string lane(1, static_cast<char>('a' + random() % 5));
    order_.Expect(id, lane);
    expected[lane].push_back(lane + std::to_string(id));
  }
  std::map<uint64_t, std::string> results;
  for (const auto& [lane, texts] : expected) {
    for (const std::string& text : texts) {
      results[std::stoull(text.substr(1))] = text;
    }
  }
  std::shuffle(ids.begin(), ids.end(), random);
  for (const uint64_t id : ids) Add(id, results[id]);
  std::map<std::string, std::vector<std::string>> found;
  for (const std::string& text : ready_) {
    found[text.substr(0, 1)].push_back(text);
  }
  EXPECT_EQ(found, expected) << "seed " << kSeed;
}

}  // namespace
}  // namespace attn
