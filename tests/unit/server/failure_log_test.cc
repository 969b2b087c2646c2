#include "server/failure_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tests/support/fake_clock.h"

namespace attn {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

class FailureLogTest : public testing::Test {
 protected:
  auto NumLines() const {
    const std::string text = out_.str();
    return std::count(text.begin(), text.end(), '\n');
  }

  void Report(int count, const std::string& failure_class) {
    for (int i = 0; i < count; ++i) failures_.Report(failure_class, "failed");
  }

  std::ostringstream out_;
  Log log_{LogLevel::kInfo, LogFormat::kText, &out_};
  FakeClock clock_;
  FailureLog failures_{log_, clock_, seconds(1)};
};

TEST_F(FailureLogTest, WritesOneLineForEachClassAndInterval) {
  Report(5, "INTERNAL");
  Report(5, "QUEUE_FULL");
  EXPECT_EQ(NumLines(), 2);
  clock_.Advance(milliseconds(999));
  Report(1, "INTERNAL");
  EXPECT_EQ(NumLines(), 2);
}

TEST_F(FailureLogTest, SaysHowManyItLeftOut) {
  Report(5, "INTERNAL");
  clock_.Advance(seconds(1));
  Report(1, "INTERNAL");
  EXPECT_THAT(out_.str(), EndsWith("failed class=INTERNAL suppressed=4\n"));
  clock_.Advance(seconds(1));
  out_.str("");
  Report(1, "INTERNAL");
  EXPECT_THAT(out_.str(), Not(HasSubstr("suppressed")));
}

TEST_F(FailureLogTest, FlushTellsWhatIsLeft) {
  Report(3, "INTERNAL");
  failures_.Flush();
  EXPECT_THAT(out_.str(), EndsWith("class=INTERNAL suppressed=2\n"));
  failures_.Flush();
  EXPECT_EQ(NumLines(), 2);
}

TEST_F(FailureLogTest, BoundsTheNumberOfClasses) {
  for (int i = 0; i < 1000; ++i) Report(1, "class" + std::to_string(i));
  EXPECT_EQ(NumLines(), 65);
  EXPECT_THAT(out_.str(), EndsWith("class=other\n"));
}

}  // namespace
}  // namespace attn
