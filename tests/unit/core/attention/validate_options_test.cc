// Every rule about the options of a request but rope's.
#include <cstdint>
#include <limits>

#include "gtest/gtest.h"
#include "tests/unit/core/attention/validation_rule.h"

namespace attn::test {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class OptionRuleTest : public testing::TestWithParam<ValidationRule> {};

TEST_P(OptionRuleTest, IsRefusedWithTheExactError) {
  ExpectRefused(MakeSpec(ValidOptions()), GetParam());
}

using S = RequestSpec;

INSTANTIATE_TEST_SUITE_P(
    Enums, OptionRuleTest,
    testing::Values(
        Option(
            "Layout", [](S& s) { s.layout = static_cast<Layout>(4); }, "layout",
            "must be an enum number from 0 to 3; got 4"),
        Option(
            "NegativeLayout", [](S& s) { s.layout = static_cast<Layout>(-1); },
            "layout", "must be an enum number from 0 to 3; got -1"),
        Option(
            "Causal",
            [](S& s) { s.params.causal = static_cast<CausalMode>(3); },
            "params.causal", "must be an enum number from 0 to 2; got 3"),
        Option(
            "Weights",
            [](S& s) { s.output.weights = static_cast<WeightsMode>(5); },
            "output.weights", "must be an enum number from 0 to 4; got 5")),
    NameOfRule);

INSTANTIATE_TEST_SUITE_P(
    Options, OptionRuleTest,
    testing::Values(
        Option(
            "ScaleNan", [](S& s) { s.params.scale = kNan; }, "params.scale",
            "must be finite and not negative; got nan"),
        Option(
            "ScaleInfinite", [](S& s) { s.params.scale = kInfinity; },
            "params.scale", "must be finite and not negative; got inf"),
        Option(
            "ScaleNegative", [](S& s) { s.params.scale = -0.5f; },
            "params.scale", "must be finite and not negative; got -0.5"),
        Option(
            "SoftcapNan", [](S& s) { s.params.softcap = kNan; },
            "params.softcap", "must be finite and not negative; got nan"),
        Option(
            "SoftcapInfinite", [](S& s) { s.params.softcap = kInfinity; },
            "params.softcap", "must be finite and not negative; got inf"),
        Option(
            "SoftcapNegative", [](S& s) { s.params.softcap = -30; },
            "params.softcap", "must be finite and not negative; got -30"),
        Option(
            "LeftWindow", [](S& s) { s.params.left_window = -1; },
            "params.left_window", "must not be negative; got -1"),
        Option(
            "RightWindow", [](S& s) { s.params.right_window = INT64_MIN; },
            "params.right_window",
            "must not be negative; got -9223372036854775808"),
        Option(
            "AlibiCount",
            [](S& s) {
              s.params.alibi_slopes = {1, 2};
            },
            "params.alibi_slopes",
            "must be empty or have num_q_heads = 4 entries; got 2"),
        Option(
            "AlibiNan",
            [](S& s) {
              s.params.alibi_slopes = {1, 2, kNan, 4};
            },
            "params.alibi_slopes[2]", "must be finite; got nan"),
        Option(
            "SinksCount",
            [](S& s) {
              s.params.sinks = {1, 2, 3, 4, 5};
            },
            "params.sinks",
            "must be empty or have num_q_heads = 4 entries; got 5"),
        Option(
            "SinksInfinite",
            [](S& s) {
              s.params.sinks = {1, kInfinity, 3, 4};
            },
            "params.sinks[1]", "must be finite; got inf"),
        Option(
            "KvLengthsCount", [](S& s) { s.kv_lengths = {5}; }, "kv_lengths",
            "must be empty or have batch_size = 2 entries; got 1"),
        Option(
            "KvLengthNegative",
            [](S& s) {
              s.kv_lengths = {5, -1};
            },
            "kv_lengths[1]", "must be from 0 to kv_len 5; got -1"),
        Option(
            "KvLengthBeyond",
            [](S& s) {
              s.kv_lengths = {6, 5};
            },
            "kv_lengths[0]", "must be from 0 to kv_len 5; got 6")),
    NameOfRule);

}  // namespace
}  // namespace attn::test
