#include "server/inference/infer_parameters.h"

#include <chrono>
#include <functional>
#include <limits>

#include "core/base/error.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/inference/shown_text.h"
#include "tests/unit/server/inference/infer_message.h"

namespace attn::test {
namespace {

using inference::InferParameter;
using inference::ModelInferRequest;
using testing::HasSubstr;
using testing::StartsWith;

InferParameter Int(int64_t value) {
  InferParameter parameter;
  parameter.set_int64_param(value);
  return parameter;
}
InferParameter Text(const std::string& value) {
  InferParameter parameter;
  parameter.set_string_param(value);
  return parameter;
}
InferParameter Number(double value) {
  InferParameter parameter;
  parameter.set_double_param(value);
  return parameter;
}
InferParameter Bool(bool value) {
  InferParameter parameter;
  parameter.set_bool_param(value);
  return parameter;
}

// A first step of a sequence, where every parameter is legal, but for those of
// outputs, which are there by default.
DecodedRequest Decode(const std::string& name, const InferParameter& value) {
  ModelInferRequest request = SequenceRequest(/*is_start=*/true);
  (*request.mutable_parameters())[name] = value;
  return InferMessage(request).Decode().request;
}

std::string Refusal(const std::string& name, const InferParameter& value) {
  const absl::Status status = Decode(name, value).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
  EXPECT_EQ(FieldOf(status), "parameters." + name);
  return std::string(status.message());
}

// A parameter, a value of it, and whether the request shows it.
struct Row {
  const char* name;
  InferParameter value;
  std::function<bool(const DecodedRequest&)> holds;
};

const AttentionParams& P(const DecodedRequest& d) { return d.spec.params; }

std::vector<Row> SequenceRows() {
  return {
      {"sequence_id", Text("chat"),
       [](auto& d) { return d.session->session_id == "chat"; }},
      {"sequence_start", Bool(true),
       [](auto& d) { return d.session->start.has_value(); }},
      {"sequence_end", Bool(true), [](auto& d) { return d.session->ends; }},
      {"layer", Int(1), [](auto& d) { return d.session->layer == 1; }},
      {"expected_length", Int(0),
       [](auto& d) { return d.session->expected_length == 0; }},
      {"num_layers", Int(3),
       [](auto& d) { return d.session->start->num_layers == 3; }},
      {"kv_dtype", Text("fp16"),
       [](auto& d) { return d.session->start->kv_dtype == KvDtype::kF16; }},
      {"max_length", Int(100),
       [](auto& d) { return d.session->start->max_length == 100; }},
      {"window", Int(64),
       [](auto& d) { return d.session->start->window == 64; }},
  };
}

std::vector<Row> Rows() {
  return {
      {"scale", Number(0.5), [](auto& d) { return P(d).scale == 0.5F; }},
      {"softcap", Number(30), [](auto& d) { return P(d).softcap == 30; }},
      {"causal", Text("bottom_right"),
       [](auto& d) { return P(d).causal == CausalMode::kBottomRight; }},
      {"causal_offset", Int(-3),
       [](auto& d) { return P(d).causal_offset == -3; }},
      {"left_window", Int(4), [](auto& d) { return P(d).left_window == 4; }},
      {"right_window", Int(5), [](auto& d) { return P(d).right_window == 5; }},
      {"alibi_slopes", Text("0.5,0.25"),
       [](auto& d) {
         return P(d).alibi_slopes == std::vector<float>{0.5F, 0.25F};
       }},
      {"sinks", Text("-1, 2e0"),
       [](auto& d) {
         return P(d).sinks == std::vector<float>{-1.0F, 2.0F};
       }},
      {"layout", Text("BSHD"),
       [](auto& d) { return d.spec.layout == Layout::kBSHD; }},
      {"num_q_heads", Int(2), [](auto& d) { return d.spec.num_q_heads == 2; }},
      {"num_kv_heads", Int(1),
       [](auto& d) { return d.spec.num_kv_heads == 1; }},
      {"rope_base", Number(10000),
       [](auto& d) { return P(d).rope->base == 10000; }},
      {"rope_rotary_dim", Int(2),
       [](auto& d) { return P(d).rope->rotary_dim == 2; }},
      {"rope_interleaved", Bool(true),
       [](auto& d) { return P(d).rope->is_interleaved; }},
      {"rope_scaling_factor", Number(2),
       [](auto& d) { return P(d).rope->scaling_factor == 2; }},
      {"rope_positions", Text("7, 8"),
       [](auto& d) {
         return P(d).rope->positions == std::vector<int64_t>{7, 8};
       }},
      {"rope_key_positions", Text("-1"),
       [](auto& d) {
         return P(d).rope->key_positions == std::vector<int64_t>{-1};
       }},
      {"output_dtype", Text("BF16"),
       [](auto& d) { return d.spec.output.dtype == DataType::kBF16; }},
      {"weights", Text("softcapped"),
       [](auto& d) {
         return d.spec.output.weights == WeightsMode::kSoftcapped;
       }},
      {"top_k", Int(2), [](auto& d) { return d.spec.output.top_k == 2; }},
      {"priority", Int(1),
       [](auto& d) { return d.priority == Priority::kHigh; }},
      {"timeout", Int(1500),
       [](auto& d) { return d.timeout == std::chrono::microseconds(1500); }},
      {"triton_enable_empty_final_response", Bool(true),
       [](auto& d) { return d.status.ok(); }},
  };
}

std::vector<Row> AllRows() {
  std::vector<Row> rows = Rows();
  const std::vector<Row> more = SequenceRows();
  rows.insert(rows.end(), more.begin(), more.end());
  return rows;
}

TEST(InferParametersTest, EachIsRead) {
  for (const Row& row : AllRows()) {
    const DecodedRequest decoded = Decode(row.name, row.value);
    ASSERT_TRUE(decoded.status.ok()) << row.name << ": " << decoded.status;
    EXPECT_TRUE(row.holds(decoded)) << row.name;
  }
}

TEST(InferParametersTest, EachIsRefusedByNameWhereItsTypeIsWrong) {
  for (const Row& row : AllRows()) {
    EXPECT_THAT(Refusal(row.name, InferParameter{}), HasSubstr("got nothing"));
    const bool is_id = std::string_view(row.name) == "sequence_id";
    EXPECT_THAT(Refusal(row.name, is_id ? Bool(true) : Text("no such thing")),
                HasSubstr(is_id ? "got true" : "got no such thing"));
  }
}

TEST(InferParametersTest, UnknownOnesAreRefusedByName) {
  EXPECT_EQ(Refusal("sclae", Number(1)),
            "parameters.sclae must be a parameter of the model; got 1");
  EXPECT_THAT(Refusal("triton_final_response", Bool(true)),
              StartsWith("parameters.triton_final_response must be"));
  EXPECT_THAT(Refusal("", Int(1)), StartsWith("parameters. must be"));
  const DecodedRequest decoded = Decode(std::string(100, '\n'), Int(1));
  EXPECT_THAT(std::string(decoded.status.message()),
              StartsWith("parameters.\\n\\n"));
}

TEST(InferParametersTest, FirstByNameAnswers) {
  ModelInferRequest request = RawRequest();
  for (const char* name : {"zz", "aa", "mm"}) {
    (*request.mutable_parameters())[name] = Int(1);
  }
  EXPECT_THAT(std::string(DecodeStatus(request).message()),
              StartsWith("parameters.aa"));
}

TEST(InferParametersTest, ListsAreNumbersWithCommasOrOneNumber) {
  EXPECT_EQ(Decode("sinks", Number(0.5)).spec.params.sinks,
            std::vector<float>{0.5F});
  EXPECT_EQ(Decode("rope_positions", Int(3)).spec.params.rope->positions,
            std::vector<int64_t>{3});
  for (const char* list : {"", "1,", ",1", "1 2", "1;2"}) {
    EXPECT_THAT(Refusal("sinks", Text(list)),
                StartsWith("parameters.sinks must be numbers with commas"))
        << list;
  }
  EXPECT_THAT(Refusal("rope_positions", Text("1,1.5")),
              HasSubstr("must be integers with commas between; got 1,1.5"));
}

TEST(InferParametersTest, NumbersComeInEveryTypeThatHoldsThem) {
  InferParameter unsigned_one;
  unsigned_one.set_uint64_param(1);
  for (const InferParameter& one :
       {Number(1), Int(1), unsigned_one, Text("1"), Text("1.0")}) {
    EXPECT_EQ(Decode("scale", one).spec.params.scale, 1.0F);
  }
  EXPECT_EQ(Decode("scale", Number(-1e300)).spec.params.scale,
            -std::numeric_limits<float>::infinity());
  for (const InferParameter& one : {Int(1), unsigned_one, Text("1")}) {
    EXPECT_EQ(Decode("left_window", one).spec.params.left_window, 1);
    EXPECT_EQ(Decode("priority", one).priority, Priority::kHigh);
    EXPECT_EQ(Decode("sequence_id", one).session->session_id, "1");
  }
  EXPECT_THAT(Refusal("left_window", Number(1)), HasSubstr("got 1"));
  unsigned_one.set_uint64_param(std::numeric_limits<uint64_t>::max());
  EXPECT_THAT(Refusal("left_window", unsigned_one),
              HasSubstr("must be an integer below 2^63"));
}

TEST(InferParametersTest, RangesAreThoseOfTheContract) {
  EXPECT_EQ(Refusal("priority", Int(4)),
            "parameters.priority must be from 0 to 3; got 4");
  EXPECT_EQ(Decode("priority", Int(0)).priority, Priority::kUnspecified);
  EXPECT_EQ(Decode("priority", Int(2)).priority, Priority::kNormal);
  EXPECT_EQ(Decode("priority", Int(3)).priority, Priority::kLow);
  EXPECT_THAT(Refusal("timeout", Int(-1)), HasSubstr("must be from 0 to"));
  EXPECT_EQ(Decode("timeout", Int(std::numeric_limits<int64_t>::max())).timeout,
            std::chrono::hours(24 * 365));
  EXPECT_EQ(Refusal("layer", Int(int64_t{1} << 32)),
            "parameters.layer must be from 0 to 4294967295; got 4294967296");
  EXPECT_EQ(Refusal("causal", Text("left")),
            "parameters.causal must be one of none, top_left, bottom_right; "
            "got left");
}

TEST(InferParametersTest, SequencesOptionsBelongToSequences) {
  ModelInferRequest request = RawRequest();
  (*request.mutable_parameters())["sequence_id"] = Int(5);
  EXPECT_EQ(DecodeStatus(request).message(),
            "parameters.sequence_id must be absent with model attention; got "
            "5");
  request = SequenceRequest();
  (*request.mutable_parameters())["num_layers"] = Int(2);
  EXPECT_EQ(DecodeStatus(request).message(),
            "parameters.num_layers must come with sequence_start; got 2");
}

TEST(ShownTextTest, IsShortAndPrintable) {
  EXPECT_EQ(ShownText("a\x01\xff"), "a\\x01\\xff");
  EXPECT_EQ(ShownText(std::string(65, 'x')), std::string(64, 'x'));
}

}  // namespace
}  // namespace attn::test
