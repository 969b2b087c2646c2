#include "core/kv_cache/session_id.h"

#include <string>

#include "core/base/error.h"
#include "gtest/gtest.h"

namespace attn {
namespace {

TEST(SessionIdTest, LettersDigitsDashAndUnderscoreMakeAnId) {
  for (const std::string& id :
       {std::string("a"), std::string("Z9_-"), std::string(64, 'x')}) {
    EXPECT_TRUE(CheckSessionId(id).ok()) << id;
  }
}

TEST(SessionIdTest, OtherTextIsRefusedAndNotRepeated) {
  for (const std::string& id :
       {std::string(), std::string("a b"), std::string("a/b"),
        std::string("\xc3\xa4"), std::string("a\0b", 3)}) {
    const absl::Status status = CheckSessionId(id);
    EXPECT_EQ(ReasonOf(status), Reason::kInvalidOption);
    EXPECT_EQ(FieldOf(status), "session_id");
    EXPECT_EQ(status.message(),
              "session_id must be 1 to 64 letters, digits, '_' or '-'; got "
              "another character");
  }
}

TEST(SessionIdTest, LongTextIsRefusedWithItsLength) {
  EXPECT_EQ(CheckSessionId(std::string(65, 'x')).message(),
            "session_id must be 1 to 64 letters, digits, '_' or '-'; got 65 "
            "bytes");
}

TEST(SessionIdTest, MadeIdsCarryTheBootAndAllRandomBits) {
  uint64_t next = 0;
  const std::string boot_id = MakeBootId(0xffff0000000000abu);
  EXPECT_EQ(boot_id, "000000ab");
  const std::string id = MakeSessionId(boot_id, [&] { return ++next; });
  EXPECT_EQ(id, "000000ab-00000000000000010000000000000002");
  EXPECT_TRUE(IsSessionId(id));
}

TEST(SessionIdTest, OnlyMadeIdsTellOfAnotherBoot) {
  const std::string digits(32, '7');
  EXPECT_TRUE(IsOfAnotherBoot("0000000f-" + digits, "000000ab"));
  EXPECT_FALSE(IsOfAnotherBoot("000000ab-" + digits, "000000ab"));
  for (const std::string& id :
       {"0000000f-" + digits + "7", "0000000f_" + digits, "0000000F-" + digits,
        "0000000f-" + std::string(32, 'g'), std::string("mine"),
        std::string()}) {
    EXPECT_FALSE(IsOfAnotherBoot(id, "000000ab")) << id;
  }
}

}  // namespace
}  // namespace attn
