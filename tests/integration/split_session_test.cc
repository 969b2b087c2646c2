// A context over three real servers (client/cpp/split_context.h) answers what
// one server with all of it does.
#include <algorithm>
#include <cmath>
#include <csignal>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "client/cpp/split_context.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"

namespace attn::test {
namespace {

using client::AttendRequest;
using client::Causal;
using client::Shape;
using client::SplitContext;
using client::Tensor;
using testing::ElementsAre;
using testing::HasSubstr;

// Of values around 1. Each of the two answers is good to a few 2^-24 of
// weights . |value| (tests/README.md, "Observed errors": 2e-7 to 7e-7), and the
// parts' lse, below 10 here, are rounded to |lse| * 2^-24 = 6e-7, which is the
// error of their weights. The sum of these, 2e-6.
constexpr double kTolerance = 2e-6;
constexpr int64_t kLength = 150;
constexpr uint64_t kPart = 40;  // 40, 40 and 70 tokens.
constexpr int64_t kRows = 5;
constexpr uint32_t kSeed = 20261121;
const client::SessionSpec kSpec = {
    .num_layers = 2, .num_kv_heads = 2, .head_dim = 16, .value_head_dim = 8};

Tensor Random(const Shape& shape, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(client::NumElements(shape).value());
  std::generate(values.begin(), values.end(), [&] { return normal(random); });
  return Tensor::FromFloats(values, shape).value();
}

// Tokens [begin, end) of [1, heads, tokens, dim].
Tensor Tokens(const Tensor& tensor, int64_t begin, int64_t end) {
  const std::vector<float> values = tensor.ToFloats().value();
  const Shape& shape = tensor.shape();
  std::vector<float> cut;
  for (int64_t head = 0; head < shape[1]; ++head) {
    const auto row = values.begin() + head * shape[2] * shape[3];
    cut.insert(cut.end(), row + begin * shape[3], row + end * shape[3]);
  }
  return Tensor::FromFloats(cut, {1, shape[1], end - begin, shape[3]}).value();
}

// The largest difference as a part of the largest number or of 1; equal
// infinities do not differ.
double Difference(const Tensor& found, const Tensor& expected) {
  EXPECT_EQ(found.shape(), expected.shape());
  const std::vector<double> a = found.ToDoubles().value();
  const std::vector<double> b = expected.ToDoubles().value();
  double difference = 0;
  double magnitude = 1;
  for (size_t i = 0; i < b.size(); ++i) {
    if (a[i] == b[i] && std::isinf(b[i])) continue;
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return HUGE_VAL;
    difference = std::max(difference, std::fabs(a[i] - b[i]));
    magnitude = std::max(magnitude, std::fabs(b[i]));
  }
  return difference / magnitude;
}

class SplitSessionTest : public testing::Test {
 protected:
  SplitSessionTest() {
    context_ = SplitContext::Create(Clients(), kPart, kSpec).value();
    whole_ = clients_[0]->CreateSession(kSpec)->session_id;
  }

  std::vector<client::Client*> Clients() const {
    return {clients_[0].get(), clients_[1].get(), clients_[2].get()};
  }

  // Both, in pieces that end on and off the borders of parts.
  void Fill(const std::optional<client::RopeParams>& rope = {}) {
    const int64_t ends[] = {1, 40, 75, 81, 149, kLength};
    int64_t begin = 0;
    for (const int64_t end : ends) {
      const auto length = context_->Append(Tokens(key_, begin, end),
                                           Tokens(value_, begin, end), 0, rope);
      ASSERT_TRUE(length.ok()) << length.status();
      ASSERT_EQ(*length, static_cast<uint64_t>(end));
      begin = end;
    }
    ASSERT_TRUE(clients_[0]
                    ->AppendKv({.session = {.session_id = whole_},
                                .key = key_,
                                .value = value_,
                                .rope = rope})
                    .ok());
  }

  AttendRequest Ask(Causal causal = Causal::kBottomRight) const {
    AttendRequest request;
    request.query = query_;
    request.params.causal = causal;
    return request;
  }

  void ExpectWhole(const AttendRequest& request, const std::string& what = "") {
    const auto found = context_->Attend(request);
    ASSERT_TRUE(found.ok()) << what << ": " << found.status();
    AttendRequest asked = request;
    asked.session = client::SessionRef{.session_id = whole_};
    asked.output.return_lse = true;
    const auto expected = clients_[0]->Attend(asked);
    ASSERT_TRUE(expected.ok()) << what << ": " << expected.status();
    EXPECT_LE(Difference(found->output, expected->output), kTolerance) << what;
    EXPECT_LE(Difference(found->lse, expected->lse), kTolerance) << what;
  }

  std::mt19937 random_{kSeed};
  const Tensor query_ = Random({1, 4, kRows, 16}, random_);
  const Tensor key_ = Random({1, 2, kLength, 16}, random_);
  const Tensor value_ = Random({1, 2, kLength, 8}, random_);
  ServerProcess servers_[3];
  std::unique_ptr<client::Client> clients_[3] = {servers_[0].NewClient(),
                                                 servers_[1].NewClient(),
                                                 servers_[2].NewClient()};
  std::unique_ptr<SplitContext> context_;
  std::string whole_;
};

TEST_F(SplitSessionTest, EveryOptionAnswersWhatTheWholeDoes) {
  Fill();
  for (size_t n = 0; n < 3; ++n) {
    EXPECT_THAT(clients_[n]
                    ->GetSession(context_->session_ids()[n])
                    .value()
                    .layer_lengths,
                ElementsAre(n < 2 ? 40 : 70, 0));
  }
  const std::vector<float> sinks = {1.0F, 0.0F, -1.0F, 2.0F};
  ExpectWhole(Ask(Causal::kNone), "none");
  ExpectWhole(Ask(), "causal");
  for (const int64_t offset : {60, 38, -3, -100}) {
    AttendRequest request = Ask();
    request.params.causal_offset = offset;
    ExpectWhole(request, "offset " + std::to_string(offset));
  }
  AttendRequest request = Ask();
  request.params.left_window = 20;
  ExpectWhole(request, "window");
  request.params.sinks = sinks;
  ExpectWhole(request, "window and sinks");
  request = Ask();
  request.params.sinks = sinks;
  ExpectWhole(request, "sinks");
  request = Ask(Causal::kNone);
  request.params.causal_offset = 70;
  request.params.right_window = 5;
  ExpectWhole(request, "right window");
  request = Ask();
  request.params.alibi_slopes = {0.5F, 0.25F, 0.125F, 0.1F};
  ExpectWhole(request, "alibi");
  request = Ask(Causal::kNone);
  request.params.softcap = 2.0F;
  request.params.scale = 0.7F;
  ExpectWhole(request, "softcap and scale");
}

TEST_F(SplitSessionTest, MasksAreCutLikeTheKeys) {
  Fill();
  std::vector<bool> random_mask(4 * kRows * kLength);
  std::generate(random_mask.begin(), random_mask.end(),
                [&] { return random_() % 2 == 0; });
  AttendRequest request = Ask(Causal::kNone);
  request.attn_mask =
      Tensor::FromBools(random_mask, {4, kRows, kLength}).value();
  ExpectWhole(request, "random");
  std::vector<bool> first_part(kLength, false);
  std::fill_n(first_part.begin(), 17, true);
  request.attn_mask = Tensor::FromBools(first_part, {1, kLength}).value();
  ExpectWhole(request, "of one part");
  request.attn_mask = Tensor::FromFloats({0.5F}, {1}).value();
  ExpectWhole(request, "last axis of 1");
}

TEST_F(SplitSessionTest, RopeTurnsByPlacesInTheWhole) {
  const client::RopeParams rope = {.base = 10000.0F};
  Fill(rope);
  AttendRequest request = Ask();
  request.params.rope = rope;
  ExpectWhole(request);
}

TEST_F(SplitSessionTest, DecodeStepsFollowThePrefill) {
  Fill();
  for (int64_t step = 0; step < 3; ++step) {
    const Tensor key = Tokens(key_, step, step + 1);
    const Tensor value = Tokens(value_, step, step + 1);
    ASSERT_TRUE(context_->Append(key, value).ok());
    ASSERT_TRUE(
        clients_[0]
            ->AppendKv(
                {.session = {.session_id = whole_}, .key = key, .value = value})
            .ok());
    AttendRequest request = Ask();
    request.query = Tokens(query_, step, step + 1);
    ExpectWhole(request, "step " + std::to_string(step));
  }
  EXPECT_EQ(context_->length(), static_cast<uint64_t>(kLength + 3));
}

TEST_F(SplitSessionTest, PartsMayBeEmpty) {
  const Tensor key = Tokens(key_, 0, 3);
  const Tensor value = Tokens(value_, 0, 3);
  ASSERT_TRUE(context_->Append(key, value).ok());
  ASSERT_TRUE(
      clients_[0]
          ->AppendKv(
              {.session = {.session_id = whole_}, .key = key, .value = value})
          .ok());
  ExpectWhole(Ask());
  const auto empty = context_->Attend(Ask(), 1);  // No part has a token of it.
  ASSERT_TRUE(empty.ok()) << empty.status();
  EXPECT_THAT(empty->output.ToFloats().value(), testing::Each(0.0F));
  EXPECT_THAT(empty->lse.ToFloats().value(), testing::Each(-INFINITY));
}

TEST_F(SplitSessionTest, SessionsEndWithTheContext) {
  context_ = nullptr;
  ASSERT_TRUE(clients_[0]->DeleteSession(whole_).ok());
  {
    const auto named = SplitContext::Create(Clients(), 10, kSpec, "split");
    ASSERT_TRUE(named.ok()) << named.status();
    EXPECT_THAT((*named)->session_ids(),
                ElementsAre("split-0", "split-1", "split-2"));
    client::Client* const same[] = {clients_[1].get(), clients_[1].get()};
    const auto taken = SplitContext::Create(same, 10, kSpec, "split");
    EXPECT_EQ(taken.status().code(), absl::StatusCode::kAlreadyExists);
    EXPECT_THAT(std::string(taken.status().message()), HasSubstr("part 1"));
  }
  for (const auto& client : clients_) {
    EXPECT_TRUE(client->ListAllSessions()->empty());
  }
}

TEST_F(SplitSessionTest, ErrorSaysWhichPartHasIt) {
  Fill();
  servers_[1].Signal(SIGKILL);
  servers_[1].Wait();
  const absl::Status status = context_->Attend(Ask()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("part 1 of the context"));
}

TEST_F(SplitSessionTest, WhatPartsCannotAnswerIsRefused) {
  Fill();
  AttendRequest top_left = Ask(Causal::kTopLeft);
  AttendRequest top = Ask();
  top.output.top_k = 3;
  AttendRequest with_key = Ask();
  with_key.key = key_;
  AttendRequest short_mask = Ask();
  short_mask.attn_mask = Tensor::FromBools({true, false}, {2}).value();
  const std::pair<AttendRequest, std::string> cases[] = {
      {top_left, "kBottomRight or kNone; got kTopLeft"},
      {top, "no output.top_k"},
      {with_key, "no key"},
      {short_mask, "a last axis of 1 or 150; got [2]"},
      {AttendRequest{}, "query must be"},
  };
  for (const auto& [request, words] : cases) {
    const absl::Status status = context_->Attend(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(words));
  }
  EXPECT_THAT(std::string(context_->Attend(Ask(), 2).status().message()),
              HasSubstr("layer must be less than num_layers; got 2 vs 2"));
  EXPECT_THAT(
      std::string(
          context_->Append(key_, Tokens(value_, 0, 2)).status().message()),
      HasSubstr("value.shape[2] must equal key.shape[2]; got 2 vs"));
}

TEST_F(SplitSessionTest, ContextThatCannotBeIsRefused) {
  client::SessionSpec windowed = kSpec;
  windowed.window = 5;
  EXPECT_THAT(
      std::string(SplitContext::Create({}, 10, kSpec).status().message()),
      HasSubstr("got 0 and 10"));
  EXPECT_THAT(
      std::string(SplitContext::Create(Clients(), 0, kSpec).status().message()),
      HasSubstr("got 3 and 0"));
  EXPECT_THAT(
      std::string(
          SplitContext::Create(Clients(), 1, windowed).status().message()),
      HasSubstr("window must be 0"));
}

}  // namespace
}  // namespace attn::test
