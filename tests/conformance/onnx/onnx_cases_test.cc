// Every node test case that ONNX 1.23 has for Attention and RotaryEmbedding,
// answered by the real server within ONNX's own tolerance.
#include "tests/conformance/onnx/onnx_cases.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/conformance/onnx/attention_request.h"
#include "tests/conformance/onnx/golden.h"
#include "tests/conformance/onnx/rotary_request.h"
#include "tests/integration/server_process.h"

namespace attn::test {
namespace {

// params.rope answers UNIMPLEMENTED until the server takes it.
constexpr bool kRopeIsServed = true;

std::vector<OnnxCase> CasesOf(const std::string& op) {
  std::vector<OnnxCase> cases = ReadOnnxCases();
  std::erase_if(cases, [&](const OnnxCase& c) { return c.op != op; });
  return cases;
}

bool IsRounded(const OnnxCase& c) {
  const auto names = RoundedGoldens();
  return std::find(names.begin(), names.end(), c.name) != names.end();
}

std::string NameOf(const testing::TestParamInfo<OnnxCase>& param) {
  return param.param.name;
}

// One server for all cases of an operator: they are small and independent.
class OnnxCaseTest : public testing::TestWithParam<OnnxCase> {
 protected:
  static void SetUpTestSuite() {
    shared_server = std::make_unique<ServerProcess>();
  }
  static void TearDownTestSuite() { shared_server.reset(); }

  client::AttendResponse Attend(const client::AttendRequest& request) {
    auto response = client_->Attend(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : client::AttendResponse();
  }

 private:
  inline static std::unique_ptr<ServerProcess> shared_server;
  std::unique_ptr<client::Client> client_ = shared_server->NewClient();
};

class AttentionCaseTest : public OnnxCaseTest {};
class RotaryEmbeddingCaseTest : public OnnxCaseTest {};

TEST_P(AttentionCaseTest, AnswersTheGolden) {
  const OnnxCase& c = GetParam();
  const client::AttendResponse response = Attend(ToAttentionRequest(c));
  const client::Tensor golden = c.Output("Y");
  ASSERT_EQ(response.output.shape(), golden.shape());
  ASSERT_EQ(response.output.dtype(), golden.dtype());
  const std::vector<float> output = ElementsOf(response.output);
  const client::Tensor scores = c.Output("qk_matmul_output");
  ASSERT_EQ(response.weights.shape(), scores.shape());
  const std::vector<float> weights = ElementsOf(response.weights);

  const std::string strict = Difference(output, golden, kOnnxTolerance) +
                             Difference(weights, scores, kOnnxTolerance);
  if (!IsRounded(c)) {
    EXPECT_EQ(strict, "");
    return;
  }
  EXPECT_NE(strict, "") << "needs no exception: take it off RoundedGoldens";
  EXPECT_EQ(Difference(output, golden, kRoundedTolerance), "");
  EXPECT_EQ(Difference(weights, scores, kRoundedTolerance), "");
}

TEST_P(RotaryEmbeddingCaseTest, RawScoresAgainstIdentityAreTheGolden) {
  if (!kRopeIsServed) {
    GTEST_SKIP() << "params.rope is not served yet";
  }
  const OnnxCase& c = GetParam();
  std::vector<client::AttendResponse> responses;
  for (const client::AttendRequest& request : ToRotaryRequests(c)) {
    responses.push_back(Attend(request));
    ASSERT_TRUE(responses.back().weights.present());
  }
  EXPECT_EQ(
      Difference(RotatedElements(c, responses), c.Output("Y"), kOnnxTolerance),
      "");
}

INSTANTIATE_TEST_SUITE_P(Onnx, AttentionCaseTest,
                         testing::ValuesIn(CasesOf("Attention")), NameOf);
INSTANTIATE_TEST_SUITE_P(Onnx, RotaryEmbeddingCaseTest,
                         testing::ValuesIn(CasesOf("RotaryEmbedding")), NameOf);

}  // namespace
}  // namespace attn::test
