// The table of rules in proto/README.md is what the server does: every row, the
// order of the rows, and no row without a rule.
#include "tests/integration/validation_table.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attn/v1/attention.pb.h"
#include "client/cpp/error_details.h"
#include "client/cpp/transport.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/raw_call.h"
#include "tests/integration/server_process.h"
#include "tests/integration/validation_rows.h"

namespace attn::test {
namespace {

using absl::StatusCode;

StatusCode CodeOf(const std::string& reason) {
  if (reason == "REQUEST_TOO_LARGE") return StatusCode::kResourceExhausted;
  return StatusCode::kInvalidArgument;
}

// "" where the answer is what the row promises.
std::string Difference(const TableRow& row, const absl::Status& status) {
  std::string found;
  for (const auto& violation : client::FieldViolations(status)) {
    absl::StrAppend(&found, found.empty() ? "" : ", ", violation.field);
  }
  const bool is_as_promised =
      status.code() == CodeOf(row.reason) &&
      client::ErrorReason(status) == row.reason && found == row.field &&
      Matches(row.message, std::string(status.message()));
  if (is_as_promised) return "";
  return absl::StrCat("row: ", row.rule, "\n  promised ", row.reason, " | ",
                      row.field, " | ", row.message, "\n  found    ",
                      client::ErrorReason(status), " | ", found, " | ",
                      std::string(status.message()));
}

bool CanBeBrokenTogether(const Violation& a, const Violation& b) {
  return a.form == b.form || a.form == Form::kAny || b.form == Form::kAny;
}

class ValidationTableTest : public testing::Test {
 protected:
  absl::Status Send(const Draft& draft) {
    if (draft.num_before > 0) {
      v1::AttendBatchRequest batch;
      for (int i = 0; i < draft.num_before; ++i) batch.add_requests();
      *batch.add_requests() = draft.request;
      v1::AttendBatchResponse reply;
      return CallRaw(*transport_, "/attn.v1.AttentionService/AttendBatch",
                     batch.SerializeAsString(), reply);
    }
    v1::AttendResponse reply;
    return CallRaw(*transport_, "/attn.v1.AttentionService/Attend",
                   draft.request.SerializeAsString() + draft.trailing, reply);
  }

  const std::vector<TableRow> table_ =
      ReadTable(ATTN_CONTRACT_README, "## What is checked, in this order");
  const std::vector<Violation> violations_ = AllViolations();
  ServerProcess server_{
      {"--max-request-bytes", "13MiB", "--max-reply-bytes", "64KiB"}};
  const std::unique_ptr<client::Transport> transport_ =
      *client::Transport::Create({.address = server_.grpc_address()});
};

TEST_F(ValidationTableTest, EveryRowHasARequestInItsPlace) {
  std::vector<std::string> rules;
  for (const TableRow& row : table_) rules.push_back(row.rule);
  std::vector<std::string> made;
  for (const Violation& violation : violations_) made.push_back(violation.rule);
  EXPECT_THAT(rules, testing::ElementsAreArray(made));
}

TEST_F(ValidationTableTest, AGoodRequestBreaksNone) {
  EXPECT_TRUE(Send(Draft()).ok()) << Send(Draft());
}

TEST_F(ValidationTableTest, EveryRowIsAnsweredAsItSays) {
  ASSERT_EQ(table_.size(), violations_.size());
  for (size_t i = 0; i < table_.size(); ++i) {
    Draft draft;
    violations_[i].apply(draft);
    EXPECT_EQ(Difference(table_[i], Send(draft)), "");
  }
}

TEST_F(ValidationTableTest, OfTwoBrokenRulesTheFirstAnswers) {
  ASSERT_EQ(table_.size(), violations_.size());
  for (size_t i = 0; i < table_.size(); ++i) {
    for (size_t j = i + 1; j < table_.size(); ++j) {
      if (!CanBeBrokenTogether(violations_[i], violations_[j])) continue;
      Draft draft;
      violations_[j].apply(draft);
      violations_[i].apply(draft);
      EXPECT_EQ(Difference(table_[i], Send(draft)), "")
          << "beside: " << table_[j].rule;
    }
  }
}

}  // namespace
}  // namespace attn::test
