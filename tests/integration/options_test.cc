// Every option and every pair of options over the wire: the reference's answer,
// and the same bytes from Attend, AttendBatch and AttendStream.
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "client/cpp/attend_stream.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire_case.h"
#include "tests/support/comparison.h"
#include "tests/support/named_option.h"
#include "tests/support/sizes.h"

namespace attn::test {
namespace {

struct NamedCase {
  std::string name;
  AttentionCase attention_case;
};

// Decode and prefill shapes, layouts and dtypes take turns, so that each meets
// each option.
std::vector<NamedCase> EveryPair() {
  const Layout layouts[] = {Layout::kBHSD, Layout::kBSHD, Layout::kBSE};
  const DataType dtypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16,
                             DataType::kF64};
  std::vector<NamedCase> cases;
  for (const NamedOption& first : AllOptions()) {
    for (const NamedOption& second : AllOptions()) {
      const size_t turn = cases.size();
      CaseOptions options;
      options.batch_size = 2;
      options.num_q_heads = 4;
      options.q_len = turn % 2 == 0 ? 3 : 21;
      options.kv_len = 40;
      options.layout = layouts[turn % 3];
      options.dtype = dtypes[turn / 3 % 4];
      options.output.return_lse = true;
      options.seed = turn;
      first.apply(options);
      second.apply(options);
      cases.push_back({std::string(first.name) + " with " + second.name,
                       MakeCase(options)});
    }
  }
  return cases;
}

class OptionsTest : public testing::Test {
 protected:
  // As Attend answers, each checked.
  std::vector<AttentionOutputs> Answers() {
    std::vector<AttentionOutputs> answers;
    for (const NamedCase& c : cases_) {
      const auto response = client_->Attend(ToRequest(c.attention_case));
      if (!response.ok()) ADD_FAILURE() << c.name << ": " << response.status();
      answers.push_back(response.ok()
                            ? ToOutputs(c.attention_case, *response)
                            : AttentionOutputs(c.attention_case.plan));
      EXPECT_EQ(CompareWithReference(c.attention_case, answers.back()), "")
          << c.name;
    }
    return answers;
  }

  const std::vector<NamedCase> cases_ = EveryPair();
  ServerProcess server_;
  std::unique_ptr<client::Client> client_ = server_.NewClient();
};

TEST_F(OptionsTest, EveryPairAnswersAlikeByEveryMethod) {
  const std::vector<AttentionOutputs> alone = Answers();
  std::vector<client::AttendRequest> requests;
  for (const NamedCase& c : cases_) {
    requests.push_back(ToRequest(c.attention_case));
    requests.back().request_id = std::to_string(requests.size() - 1);
  }
  const auto batch = client_->AttendBatch(requests);
  ASSERT_TRUE(batch.ok()) << batch.status();
  for (size_t i = 0; i < cases_.size(); ++i) {
    const client::AttendResult& result = (*batch)[i];
    ASSERT_TRUE(result.status.ok()) << result.status;
    EXPECT_TRUE(ToOutputs(cases_[i].attention_case, result.response) ==
                alone[i])
        << "AttendBatch: " << cases_[i].name;
  }
  const auto stream = client_->OpenStream();
  for (size_t i = 0; i < cases_.size(); ++i) {
    ASSERT_TRUE(stream->Write(requests[i]));
    const auto result = stream->Read();
    ASSERT_TRUE(result.has_value());
    EXPECT_TRUE(ToOutputs(cases_[i].attention_case, result->response) ==
                alone[i])
        << "AttendStream: " << cases_[i].name;
  }
}

}  // namespace
}  // namespace attn::test
