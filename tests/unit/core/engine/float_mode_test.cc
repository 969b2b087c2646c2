#include "core/engine/float_mode.h"

#include <thread>

#include "gtest/gtest.h"

namespace attn {
namespace {

// Not folded by the compiler.
float TenthOf(float value) {
  const volatile float hidden = value;
  return hidden * 0.1f;
}

TEST(FloatModeTest, DenormalsBecomeZeroOnTheCallingThreadAlone) {
#if !defined(__SSE__)
  GTEST_SKIP() << "no such mode";
#endif
  float on_worker = 1;
  std::thread worker([&] {
    FlushDenormals();
    on_worker = TenthOf(2e-38f);
  });
  worker.join();
  EXPECT_EQ(on_worker, 0.0f);
  EXPECT_GT(TenthOf(2e-38f), 0.0f);
}

}  // namespace
}  // namespace attn
