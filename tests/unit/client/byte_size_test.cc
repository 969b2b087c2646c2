#include "client/cpp/attnctl/byte_size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace attn::attnctl {
namespace {

using ::testing::HasSubstr;

TEST(ByteSizeTest, TakesEveryUnitAndNone) {
  EXPECT_EQ(*ParseByteSize("64"), 64);
  EXPECT_EQ(*ParseByteSize("3KiB"), 3 << 10);
  EXPECT_EQ(*ParseByteSize("3MiB"), 3 << 20);
  EXPECT_EQ(*ParseByteSize("16GiB"), 16 * kGibibyte);
  EXPECT_EQ(*ParseByteSize("2TiB"), 2048 * kGibibyte);
}

TEST(ByteSizeTest, RefusesWhatIsNoSize) {
  for (const char* text : {"", "GiB", "-1GiB", "1.5GiB", "1 GiB", "1GB", "+1",
                           "9000000TiB", "99999999999999999999"}) {
    const auto size = ParseByteSize(text);
    ASSERT_FALSE(size.ok()) << text;
    EXPECT_THAT(std::string(size.status().message()),
                HasSubstr(std::string("got \"") + text + "\""));
  }
}

TEST(ByteSizeTest, ShowsFourDigits) {
  EXPECT_EQ(BytesText(1023), "1023 bytes");
  EXPECT_EQ(BytesText(1536), "1.5 KiB");
  EXPECT_EQ(BytesText(5e15), "4547 TiB");
}

TEST(ByteSizeTest, FlagsGetWholeNumbers) {
  EXPECT_EQ(SizeFlagText(13 * kGibibyte), "13GiB");
  EXPECT_EQ(SizeFlagText(1500 * kMebibyte), "1500MiB");
}

}  // namespace
}  // namespace attn::attnctl
