// The committed cases are whole and all their words are understood, and what
// README.md does not describe is refused.
#include <map>
#include <memory>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/onnx/golden.h"
#include "tests/conformance/onnx/onnx_cases.h"

namespace attn::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A case of one attribute and one input, 4 bytes of data, then `line`.
absl::StatusOr<std::vector<OnnxCase>> ParseWith(const std::string& line) {
  return ParseOnnxCases(
      "# words\nonnx 1.23.0\ncases 1\nbytes 4\n\n"
      "case one Attention 23\nattr is_causal int 1\ninput Q f16 1x2 0\n" +
          line,
      std::make_shared<const std::string>("\x00\x3c\x00\x40", 4));
}

TEST(OnnxCasesReaderTest, ReadsAttributesAndTensors) {
  const auto cases = ParseWith("attr scale float 0.5\noutput Y f16 1 2\n");
  ASSERT_TRUE(cases.ok()) << cases.status();
  ASSERT_EQ(cases->size(), 1U);
  const OnnxCase& c = cases->front();
  EXPECT_EQ(c.Int("is_causal", 0), 1);
  EXPECT_EQ(c.Float("scale", 0), 0.5F);
  EXPECT_THAT(c.Input("Q").shape(), ElementsAre(1, 2));
  EXPECT_THAT(ElementsOf(c.Input("Q")), ElementsAre(1, 2));
  EXPECT_THAT(ElementsOf(c.Output("Y")), ElementsAre(2));
  EXPECT_FALSE(c.Input("K").present());
}

TEST(OnnxCasesReaderTest, RefusesWhatItDoesNotKnow) {
  for (const char* line :
       {"surprise", "attr a int", "attr a int 1x", "attr a text b",
        "attr a float nan", "attr is_causal int 1", "input K f8 1 0",
        "input K f16 1x-1 0", "input K f16 1x 0", "input K f16 3 0",
        "input K f16 1 4", "input K f16 1 8", "input K f16 1 -1",
        "input Q f16 1 0", "input K f16 9223372036854775807x2 0",
        "case two Softmax 23", "case two Attention"}) {
    EXPECT_THAT(ParseWith(line).status().ToString(),
                HasSubstr("cases.txt:9: not understood: "))
        << line;
  }
}

TEST(OnnxCasesReaderTest, RefusesMoreOrFewerCasesAndBytesThanPromised) {
  for (const char* line :
       {"case two Attention 23", "cases 2", "bytes 3", "bytes 5"}) {
    EXPECT_THAT(ParseWith(line).status().ToString(), HasSubstr("as many"))
        << line;
  }
}

TEST(OnnxCasesReaderTest, CommittedCasesAreTheRelease) {
  std::map<std::string, int> cases;
  for (const OnnxCase& c : ReadOnnxCases()) {
    ++cases[c.op + "-" + std::to_string(c.opset)];
  }
  EXPECT_THAT(cases, ElementsAre(testing::Pair("Attention-23", 69),
                                 testing::Pair("Attention-24", 13),
                                 testing::Pair("Attention-25", 11),
                                 testing::Pair("RotaryEmbedding-23", 8)));
}

// What the requests are made from: a word that is not here would be ignored.
TEST(OnnxCasesReaderTest, NoCaseSaysWhatTheRequestsDoNot) {
  const std::set<std::string> known = {"scale",
                                       "is_causal",
                                       "softcap",
                                       "q_num_heads",
                                       "kv_num_heads",
                                       "left_window_size",
                                       "right_window_size",
                                       "qk_matmul_output_mode",
                                       "softmax_precision",
                                       "interleaved",
                                       "rotary_embedding_dim",
                                       "num_heads",
                                       "Q",
                                       "K",
                                       "V",
                                       "attn_mask",
                                       "past_key",
                                       "past_value",
                                       "nonpad_kv_seqlen",
                                       "X",
                                       "cos_cache",
                                       "sin_cache",
                                       "position_ids",
                                       "Y",
                                       "qk_matmul_output"};
  std::set<std::string> found;
  const auto collect = [&](const auto& map) {
    for (const auto& [name, value] : map) {
      found.insert(name);
    }
  };
  for (const OnnxCase& c : ReadOnnxCases()) {
    collect(c.ints);
    collect(c.floats);
    collect(c.inputs);
    collect(c.outputs);
  }
  EXPECT_EQ(found, known);
}

TEST(OnnxCasesReaderTest, EveryRoundedGoldenIsACase) {
  std::set<std::string> names;
  for (const OnnxCase& c : ReadOnnxCases()) {
    names.insert(c.name);
  }
  for (const std::string_view name : RoundedGoldens()) {
    EXPECT_THAT(names, testing::Contains(std::string(name)));
  }
}

}  // namespace
}  // namespace attn::test
