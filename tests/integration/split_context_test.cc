// A context split over two real servers: answers over parts of the keys, merged
// by the client, are the answer over all keys.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "client/cpp/merge.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire_case.h"

namespace attn::test {
namespace {

using client::AttendRequest;
using client::PartialAnswer;
using client::Shape;
using client::Tensor;

constexpr double kTolerance = 2e-6;
constexpr int64_t kQLen = 12;
constexpr int64_t kKvLen = 90;

// Keys [begin, end) of a key or value tensor whose lengths are on `axis`.
Tensor Slice(const Tensor& tensor, size_t axis, int64_t begin, int64_t end) {
  Shape shape = tensor.shape();
  size_t outer = 1;
  size_t key_bytes = client::ElementBytes(tensor.dtype());
  for (size_t i = 0; i < shape.size(); ++i) {
    (i < axis ? outer : key_bytes) *= i == axis ? 1 : shape[i];
  }
  std::string bytes;
  for (size_t i = 0; i < outer; ++i) {
    bytes += tensor.bytes().substr((i * shape[axis] + begin) * key_bytes,
                                   (end - begin) * key_bytes);
  }
  shape[axis] = end - begin;
  return Tensor::Own(tensor.dtype(), std::move(shape), std::move(bytes));
}

bool LengthIsAxis2(client::Layout layout) {
  return layout == client::Layout::kUnspecified ||
         layout == client::Layout::kBhsd;
}

// `whole` over keys [begin, end) alone, without its sinks. REQUIRES: it has a
// causal_offset.
AttendRequest PartOf(const AttendRequest& whole, int64_t begin, int64_t end) {
  const size_t axis = LengthIsAxis2(whole.layout) ? 2 : 1;
  AttendRequest part = whole;
  part.key = Slice(whole.key, axis, begin, end);
  part.value = Slice(whole.value, axis, begin, end);
  part.params.causal_offset = *whole.params.causal_offset - begin;
  part.params.sinks.clear();
  part.request_id = std::to_string(begin);
  return part;
}

// Four query heads on two KV heads, causal: the last row sees the last key.
AttendRequest WholeRequest(Layout layout = Layout::kBHSD,
                           DataType dtype = DataType::kF32) {
  CaseOptions options;
  options.dtype = dtype;
  options.layout = layout;
  options.num_q_heads = 4;
  options.num_kv_heads = 2;
  options.q_len = kQLen;
  options.kv_len = kKvLen;
  options.value_head_dim = 24;
  options.output.return_lse = true;
  AttendRequest request = ToRequest(MakeCase(options));
  request.params.causal = client::Causal::kTopLeft;
  request.params.causal_offset = kKvLen - kQLen;
  return request;
}

// The largest difference as a part of the largest value; equal infinities do
// not differ.
double Difference(const Tensor& found, const Tensor& expected) {
  EXPECT_EQ(found.shape(), expected.shape());
  EXPECT_EQ(found.dtype(), expected.dtype());
  const std::vector<double> a = found.ToDoubles().value();
  const std::vector<double> b = expected.ToDoubles().value();
  double difference = 0;
  double magnitude = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    if (a[i] == b[i] && std::isinf(b[i])) continue;
    if (!std::isfinite(a[i]) || !std::isfinite(b[i])) return HUGE_VAL;
    difference = std::max(difference, std::fabs(a[i] - b[i]));
    magnitude = std::max(magnitude, std::fabs(b[i]));
  }
  return magnitude > 0 ? difference / magnitude : difference;
}

class SplitContextTest : public testing::Test {
 protected:
  PartialAnswer AttendWhole(const AttendRequest& request) {
    const auto response = clients_[0]->Attend(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? PartialAnswer{response->output, response->lse}
                         : PartialAnswer{};
  }

  // All at once, to the servers in turn.
  std::vector<PartialAnswer> AttendAll(
      const std::vector<AttendRequest>& requests) {
    using Answer = absl::StatusOr<client::AttendResponse>;
    std::vector<std::future<Answer>> pending;
    for (size_t i = 0; i < requests.size(); ++i) {
      auto promise = std::make_shared<std::promise<Answer>>();
      pending.push_back(promise->get_future());
      clients_[i % 2]->AttendAsync(requests[i], [promise](Answer answer) {
        promise->set_value(std::move(answer));
      });
    }
    std::vector<PartialAnswer> parts;
    for (std::future<Answer>& answer : pending) {
      const Answer response = answer.get();
      EXPECT_TRUE(response.ok()) << response.status();
      if (response.ok()) parts.push_back({response->output, response->lse});
    }
    return parts;
  }

  void ExpectWhole(const absl::StatusOr<PartialAnswer>& merged,
                   const AttendRequest& whole) {
    ASSERT_TRUE(merged.ok()) << merged.status();
    const PartialAnswer expected = AttendWhole(whole);
    EXPECT_LE(Difference(merged->output, expected.output), kTolerance);
    EXPECT_LE(Difference(merged->lse, expected.lse), kTolerance);
  }

  ServerProcess servers_[2];
  std::unique_ptr<client::Client> clients_[2] = {servers_[0].NewClient(),
                                                 servers_[1].NewClient()};
};

TEST_F(SplitContextTest, PartsOfEveryLayoutMergeToTheWhole) {
  for (const Layout layout : {Layout::kBHSD, Layout::kBSHD, Layout::kBSE}) {
    const AttendRequest whole = WholeRequest(layout);
    // The first rows see no key of the last part.
    const auto parts =
        AttendAll({PartOf(whole, 0, 33), PartOf(whole, 33, 34),
                   PartOf(whole, 34, 85), PartOf(whole, 85, 90)});
    ExpectWhole(client::Merge(parts, whole.layout), whole);
  }
}

// The lse is f32 all the same, which is what the bound is for.
TEST_F(SplitContextTest, DoublesMergeToTheWhole) {
  const AttendRequest whole = WholeRequest(Layout::kBSHD, DataType::kF64);
  const auto parts = AttendAll({PartOf(whole, 0, 40), PartOf(whole, 40, 90)});
  ExpectWhole(client::Merge(parts, whole.layout), whole);
}

TEST_F(SplitContextTest, SinksGoToOnePart) {
  AttendRequest whole = WholeRequest();
  whole.params.sinks = {1.0F, -1.0F, 4.0F, 0.0F};
  std::vector<AttendRequest> requests = {PartOf(whole, 0, 40),
                                         PartOf(whole, 40, 90)};
  requests[0].params.sinks = whole.params.sinks;
  ExpectWhole(client::Merge(AttendAll(requests)), whole);
}

// The window hides the first part from all rows and the second from some: no
// part could keep the sinks.
TEST_F(SplitContextTest, SinksThatNoPartCanKeepGoToMerge) {
  AttendRequest whole = WholeRequest();
  whole.params.sinks = {1.0F, -1.0F, 4.0F, 0.0F};
  whole.params.left_window = 7;
  const auto parts = AttendAll(
      {PartOf(whole, 0, 40), PartOf(whole, 40, 80), PartOf(whole, 80, 90)});
  ExpectWhole(client::Merge(parts, whole.layout, whole.params.sinks), whole);
}

TEST_F(SplitContextTest, PartThatNoRowSeesContributesNothing) {
  AttendRequest whole = WholeRequest();
  whole.params.causal_offset = 5;
  const auto parts = AttendAll({PartOf(whole, 0, 40), PartOf(whole, 40, 90)});
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_THAT(parts[1].lse.ToFloats().value(),
              testing::Each(-std::numeric_limits<float>::infinity()));
  ExpectWhole(client::Merge(parts), whole);
  // Byte for byte what the first part says.
  const auto merged = client::Merge(parts);
  EXPECT_EQ(merged->output.ToFloats().value(),
            parts[0].output.ToFloats().value());
  EXPECT_EQ(merged->lse.bytes(), parts[0].lse.bytes());
}

TEST_F(SplitContextTest, RowsWithoutAnyKeyStayEmpty) {
  AttendRequest whole = WholeRequest();
  whole.params.causal_offset = -4;  // Rows 0 to 3 see nothing at all.
  const auto parts = AttendAll({PartOf(whole, 0, 3), PartOf(whole, 3, 90)});
  ExpectWhole(client::Merge(parts), whole);
}

TEST_F(SplitContextTest, AlibiAndWindowsMoveWithTheOffset) {
  AttendRequest whole = WholeRequest();
  whole.params.causal = client::Causal::kNone;
  whole.params.alibi_slopes = {0.5F, 0.25F, 0.125F, 0.0625F};
  whole.params.left_window = 60;
  whole.params.right_window = 3;
  const auto parts = AttendAll({PartOf(whole, 0, 30), PartOf(whole, 30, 90)});
  ExpectWhole(client::Merge(parts), whole);
}

// Positions of rope are places in the whole, and the query's own stay.
TEST_F(SplitContextTest, RopeTakesThePlacesOfTheWhole) {
  AttendRequest whole = WholeRequest();
  client::RopeParams rope = {.base = 10000.0F};
  for (int64_t i = 0; i < kQLen; ++i) {
    rope.positions.push_back(kKvLen - kQLen + i);
  }
  const auto with_keys = [&](AttendRequest request, int64_t begin,
                             int64_t end) {
    request.params.rope = rope;
    for (int64_t j = begin; j < end; ++j) {
      request.params.rope->key_positions.push_back(j);
    }
    return request;
  };
  const auto parts = AttendAll({with_keys(PartOf(whole, 0, 50), 0, 50),
                                with_keys(PartOf(whole, 50, 90), 50, 90)});
  ExpectWhole(client::Merge(parts), with_keys(whole, 0, kKvLen));
}

TEST_F(SplitContextTest, ExampleSaysThatBothAreEqual) {
  const std::string program = SPLIT_CONTEXT_BINARY;
  const std::string both = program + " --addresses " +
                           servers_[0].grpc_address() + "," +
                           servers_[1].grpc_address();
  EXPECT_EQ(std::system(both.c_str()), 0);
  EXPECT_NE(std::system((program + " > /dev/null").c_str()), 0);
}

}  // namespace
}  // namespace attn::test
