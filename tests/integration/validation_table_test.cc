// The tables of rules in proto/README.md are what the server does: every row,
// the order of the rows, and no row without a rule.
#include "tests/integration/validation_table.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/layer_fixture.h"
#include "tests/integration/raw_call.h"
#include "tests/integration/validation_rows.h"

namespace attn::test {
namespace {

struct AttendContract {
  using Request = v1::AttendRequest;
  using Response = v1::AttendResponse;
  using BatchRequest = v1::AttendBatchRequest;
  using BatchResponse = v1::AttendBatchResponse;
  static constexpr char kMethod[] = "/attn.v1.AttentionService/Attend";
  static constexpr char kBatchMethod[] =
      "/attn.v1.AttentionService/AttendBatch";
  static constexpr char kHeading[] = "## What is checked, in this order";
  static Request Good() { return GoodAttendRequest(); }
  static std::vector<Violation<Request>> Violations() {
    return AttendViolations();
  }
};

struct ForwardContract {
  using Request = v1::ForwardRequest;
  using Response = v1::ForwardResponse;
  using BatchRequest = v1::ForwardBatchRequest;
  using BatchResponse = v1::ForwardBatchResponse;
  static constexpr char kMethod[] = "/attn.v1.LayerService/Forward";
  static constexpr char kBatchMethod[] = "/attn.v1.LayerService/ForwardBatch";
  static constexpr char kHeading[] = "## What is checked of a ForwardRequest";
  static Request Good() { return GoodForwardRequest(); }
  static std::vector<Violation<Request>> Violations() {
    return ForwardViolations();
  }
};

template <typename Contract>
class ValidationTableTest : public testing::Test {
 protected:
  using Request = typename Contract::Request;

  ValidationTableTest() {
    server_.Start(
        {"--max-request-bytes", "13MiB", "--max-reply-bytes", "64KiB"});
    server_.MakeSession("s");
    const auto client = server_.process().NewClient();
    client::SessionSpec spec{.num_layers = 2, .num_kv_heads = 2, .head_dim = 8};
    spec.max_length = 4;
    EXPECT_TRUE(client->CreateSession(spec, "short").ok());
    spec.num_kv_heads = 4;
    EXPECT_TRUE(client->CreateSession(spec, "wide").ok());
  }

  absl::Status Send(const DraftOf<Request>& draft) {
    if (draft.num_before > 0) {
      typename Contract::BatchRequest batch;
      for (int i = 0; i < draft.num_before; ++i) batch.add_requests();
      *batch.add_requests() = draft.request;
      typename Contract::BatchResponse reply;
      return CallRaw(server_.transport(), Contract::kBatchMethod,
                     batch.SerializeAsString(), reply);
    }
    typename Contract::Response reply;
    return CallRaw(server_.transport(), Contract::kMethod,
                   draft.request.SerializeAsString() + draft.trailing, reply);
  }

  static DraftOf<Request> Good() { return {.request = Contract::Good()}; }

  static bool CanBeBrokenTogether(const Violation<Request>& a,
                                  const Violation<Request>& b) {
    return a.form == b.form || a.form == Form::kAny || b.form == Form::kAny;
  }

  const std::vector<TableRow> table_ =
      ReadTable(ATTN_CONTRACT_README, Contract::kHeading);
  const std::vector<Violation<Request>> violations_ = Contract::Violations();
  LayerServer server_;
};

using Contracts = testing::Types<AttendContract, ForwardContract>;
TYPED_TEST_SUITE(ValidationTableTest, Contracts);

TYPED_TEST(ValidationTableTest, EveryRowHasARequestInItsPlace) {
  std::vector<std::string> rules;
  for (const TableRow& row : this->table_) rules.push_back(row.rule);
  std::vector<std::string> made;
  for (const auto& violation : this->violations_) {
    made.push_back(violation.rule);
  }
  EXPECT_THAT(rules, testing::ElementsAreArray(made));
}

TYPED_TEST(ValidationTableTest, AGoodRequestBreaksNone) {
  const absl::Status status = this->Send(this->Good());
  EXPECT_TRUE(status.ok()) << status;
}

TYPED_TEST(ValidationTableTest, EveryRowIsAnsweredAsItSays) {
  ASSERT_EQ(this->table_.size(), this->violations_.size());
  for (size_t i = 0; i < this->table_.size(); ++i) {
    auto draft = this->Good();
    this->violations_[i].apply(draft);
    EXPECT_EQ(Difference(this->table_[i], this->Send(draft)), "");
  }
}

TYPED_TEST(ValidationTableTest, OfTwoBrokenRulesTheFirstAnswers) {
  ASSERT_EQ(this->table_.size(), this->violations_.size());
  for (size_t i = 0; i < this->table_.size(); ++i) {
    const auto& first = this->violations_[i];
    for (size_t j = i + 1; j < this->table_.size(); ++j) {
      const auto& second = this->violations_[j];
      if (!this->CanBeBrokenTogether(first, second)) continue;
      auto draft = this->Good();
      second.apply(draft);
      first.apply(draft);
      EXPECT_EQ(Difference(this->table_[i], this->Send(draft)), "")
          << "beside: " << second.rule;
    }
  }
}

}  // namespace
}  // namespace attn::test
