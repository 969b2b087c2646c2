// The table of Attend.
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/integration/validation_rows.h"
#include "tests/integration/zero_tensor.h"

namespace attn::test {
namespace {

using Draft = DraftOf<v1::AttendRequest>;
using Violations = std::vector<Violation<v1::AttendRequest>>;

v1::Tensor& Query(Draft& d) { return *d.request.mutable_query(); }
v1::Tensor& Key(Draft& d) { return *d.request.mutable_key(); }
v1::Tensor& Value(Draft& d) { return *d.request.mutable_value(); }
v1::Tensor& Mask(Draft& d) { return *d.request.mutable_attn_mask(); }
v1::AttentionParams& Params(Draft& d) { return *d.request.mutable_params(); }
v1::RopeParams& Rope(Draft& d) { return *Params(d).mutable_rope(); }
v1::OutputOptions& Output(Draft& d) { return *d.request.mutable_output(); }

// The draft's tensors in LAYOUT_BSE.
void UseBse(Draft& d) {
  d.request.set_layout(v1::LAYOUT_BSE);
  d.request.set_num_q_heads(4);
  d.request.set_num_kv_heads(2);
  FillWithZeros(Query(d), {1, 3, 32});
  FillWithZeros(Key(d), {1, 5, 16});
  FillWithZeros(Value(d), {1, 5, 12});
}

// Tables of `rows` positions for head_dim 8.
void UseTables(Draft& d, int64_t rows) {
  FillWithZeros(*Rope(d).mutable_cos(), {rows, 4});
  FillWithZeros(*Rope(d).mutable_sin(), {rows, 4});
}

Violations OfTheMessage() {
  return {
      {"the message is at most --max-request-bytes",
       UseIdOfSize<kBeyondTheMessage>},
      {"AttendBatch has at most 4096 requests (the call fails)", UseLargeBatch},
      {"fields besides tensors and params take at most 4 MiB",
       UseIdOfSize<kBeyondSmallFields>},
      {"dtype and shape of a tensor take at most 1 KiB",
       [](Draft& d) { Query(d).mutable_shape()->Resize(1025, 1); }},
      {"params take at most 4 MiB",
       [](Draft& d) {
         Params(d).mutable_sinks()->Resize(kBeyondSmallFields / sizeof(float),
                                           0);
       }},
      {"params.rope takes at most 4 MiB besides its tables",
       [](Draft& d) {
         Rope(d).mutable_positions()->Resize(kBeyondSmallFields, 0);
       }},
      {"the message can be decoded", CutOff},
      {"request_id is at most 256 bytes", UseIdOfSize<257>},
      {"priority is known", UseUnknownPriority},
      {"dtype and shape of every tensor can be decoded",
       // query (2) of 3 bytes: packed shape (2) of 1 byte, a cut varint.
       [](Draft& d) { d.trailing = "\x12\x03\x12\x01\x80"; }},
      {"layout is known",
       [](Draft& d) { d.request.set_layout(static_cast<v1::Layout>(9)); }},
      {"params.causal is known",
       [](Draft& d) { Params(d).set_causal(static_cast<v1::CausalMode>(9)); }},
      {"output.weights is known",
       [](Draft& d) {
         Output(d).set_weights(static_cast<v1::WeightsMode>(9));
       }},
  };
}

Violations OfOneTensor() {
  return {
      {"¹ the tensor is there", [](Draft& d) { d.request.clear_query(); }},
      {"¹ its dtype is known", [](Draft& d) { Query(d).clear_dtype(); }},
      {"¹ it has at most 8 axes",
       [](Draft& d) {
         FillWithZeros(Query(d), {1, 1, 1, 1, 1, 1, 1, 1, 1});
       }},
      {"¹ its lengths are not negative, their product is below 2^63",
       [](Draft& d) {
         FillWithZeros(Query(d), {1, 4, 3, 8});
         Query(d).set_shape(1, -4);
       }},
      {"¹ its data is as long as dtype and shape say",
       [](Draft& d) {
         FillWithZeros(Query(d), {1, 4, 3, 8});
         Query(d).mutable_data()->pop_back();
       }},
      {"query has a float dtype",
       [](Draft& d) {
         FillWithZeros(Query(d), {1, 4, 3, 8}, v1::DATA_TYPE_I32);
       },
       Form::kPlain},
      {"key has the query's dtype",
       [](Draft& d) {
         FillWithZeros(Key(d), {1, 2, 5, 8}, v1::DATA_TYPE_F16);
       },
       Form::kPlain},
      {"value has the query's dtype",
       [](Draft& d) {
         FillWithZeros(Value(d), {1, 2, 5, 6}, v1::DATA_TYPE_F64);
       },
       Form::kPlain},
      {"output.dtype is a float dtype",
       [](Draft& d) { Output(d).set_dtype(v1::DATA_TYPE_BOOL); }},
      {"output.top_k is at most 1024",
       [](Draft& d) { Output(d).set_top_k(1025); }},
  };
}

Violations OfShapes() {
  return {
      {"² it has the axes of the layout",
       [](Draft& d) {
         FillWithZeros(Query(d), {4, 3, 8});
       },
       Form::kPlain},
      {"² no axis but the length is 0",
       [](Draft& d) {
         FillWithZeros(Query(d), {1, 0, 3, 8});
       },
       Form::kPlain},
      {"² 4-D: the number of heads is absent or that of the shape",
       [](Draft& d) { d.request.set_num_q_heads(8); }, Form::kPlain},
      {"² BSE: the number of heads is given",
       [](Draft& d) {
         UseBse(d);
         d.request.clear_num_q_heads();
       },
       Form::kBse},
      {"² BSE: heads divide their axis",
       [](Draft& d) {
         UseBse(d);
         d.request.set_num_q_heads(3);
       },
       Form::kBse},
  };
}

Violations OfShapesTogether() {
  return {
      {"key has the query's batch",
       [](Draft& d) {
         FillWithZeros(Key(d), {2, 2, 5, 8});
       },
       Form::kPlain},
      {"key has the query's head_dim",
       [](Draft& d) {
         FillWithZeros(Key(d), {1, 2, 5, 16});
       },
       Form::kPlain},
      {"BSE: key has the query's head_dim",
       [](Draft& d) {
         UseBse(d);
         d.request.set_num_kv_heads(1);
       },
       Form::kBse},
      {"KV heads divide query heads",
       [](Draft& d) {
         FillWithZeros(Key(d), {1, 3, 5, 8});
       },
       Form::kPlain},
      {"BSE: KV heads divide query heads",
       [](Draft& d) {
         UseBse(d);
         FillWithZeros(Key(d), {1, 5, 24});
         d.request.set_num_kv_heads(3);
       },
       Form::kBse},
      {"value has the key's batch",
       [](Draft& d) {
         FillWithZeros(Value(d), {2, 2, 5, 6});
       },
       Form::kPlain},
      {"value has the key's length",
       [](Draft& d) {
         FillWithZeros(Value(d), {1, 2, 4, 6});
       },
       Form::kPlain},
      {"value has the key's heads",
       [](Draft& d) {
         FillWithZeros(Value(d), {1, 4, 5, 6});
       },
       Form::kPlain},
  };
}

Violations OfParams() {
  return {
      {"scale is finite and not negative",
       [](Draft& d) { Params(d).set_scale(-1); }},
      {"softcap is finite and not negative",
       [](Draft& d) { Params(d).set_softcap(std::nanf("")); }},
      {"left_window is not negative",
       [](Draft& d) { Params(d).set_left_window(-1); }},
      {"right_window is not negative",
       [](Draft& d) { Params(d).set_right_window(-2); }},
      {"alibi_slopes: none, or one a query head",
       [](Draft& d) { Params(d).mutable_alibi_slopes()->Resize(2, 1); }},
      {"alibi_slopes are finite",
       [](Draft& d) {
         Params(d).mutable_alibi_slopes()->Resize(4, std::nanf(""));
       }},
      {"sinks: none, or one a query head",
       [](Draft& d) { Params(d).mutable_sinks()->Resize(5, 0); }},
      {"sinks are finite",
       [](Draft& d) {
         Params(d).mutable_sinks()->Resize(3, 0);
         Params(d).mutable_sinks()->Resize(
             4, std::numeric_limits<float>::infinity());
       }},
      {"kv_lengths: none, or one a sequence",
       [](Draft& d) { d.request.mutable_kv_lengths()->Resize(2, 5); }},
      {"kv_lengths are from 0 to kv_len",
       [](Draft& d) { d.request.mutable_kv_lengths()->Resize(1, 6); }},
  };
}

Violations OfTheMask() {
  return {
      {"attn_mask: the rows ¹",
       [](Draft& d) {
         FillWithZeros(Mask(d), {3, 5});
         Mask(d).mutable_data()->pop_back();
       }},
      {"attn_mask is BOOL, F32 or of the query's dtype",
       [](Draft& d) {
         FillWithZeros(Mask(d), {3, 5}, v1::DATA_TYPE_I32);
       },
       Form::kPlain},
      {"attn_mask has at most 4 axes",
       [](Draft& d) {
         FillWithZeros(Mask(d), {1, 1, 1, 3, 5});
       }},
      {"attn_mask broadcasts",
       [](Draft& d) {
         FillWithZeros(Mask(d), {2, 5});
       }},
      {"attn_mask is not longer than kv_len",
       [](Draft& d) {
         FillWithZeros(Mask(d), {3, 6});
       }},
  };
}

Violations OfRopeNumbers() {
  return {
      {"rope.base is finite and not negative",
       [](Draft& d) { Rope(d).set_base(-1); }},
      {"rope.scaling_factor is finite and not negative",
       [](Draft& d) { Rope(d).set_scaling_factor(-2); }},
      {"rope.rotary_dim is even and at most head_dim",
       [](Draft& d) { Rope(d).set_rotary_dim(7); }},
      {"rope.positions: none, or one a query row",
       [](Draft& d) { Rope(d).mutable_positions()->Resize(2, 0); }},
      {"rope.key_positions: none, or one a key",
       [](Draft& d) { Rope(d).mutable_key_positions()->Resize(3, 0); }},
      {"rope.positions alone only where kv_len is q_len or 0",
       [](Draft& d) {
         Rope(d).mutable_positions()->Resize(3, 0);
         Rope(d).clear_key_positions();
       }},
  };
}

Violations OfRopeTables() {
  return {
      {"tables: base is 0",
       [](Draft& d) {
         UseTables(d, 16);
         Rope(d).set_base(10000);
       }},
      {"tables: scaling_factor is 0",
       [](Draft& d) {
         UseTables(d, 16);
         Rope(d).set_scaling_factor(2);
       }},
      {"³ tables: the rows ¹",
       [](Draft& d) {
         UseTables(d, 16);
         Rope(d).clear_cos();
       }},
      {"³ tables: F32 or the query's dtype",
       [](Draft& d) {
         UseTables(d, 16);
         FillWithZeros(*Rope(d).mutable_cos(), {16, 4}, v1::DATA_TYPE_F64);
       },
       Form::kPlain},
      {"³ tables: a column for each pair",
       [](Draft& d) {
         UseTables(d, 16);
         FillWithZeros(*Rope(d).mutable_cos(), {16, 8});
       }},
      {"tables: sin has the dtype of cos",
       [](Draft& d) {
         FillWithZeros(Query(d), {1, 4, 3, 8}, v1::DATA_TYPE_F16);
         FillWithZeros(Key(d), {1, 2, 5, 8}, v1::DATA_TYPE_F16);
         FillWithZeros(Value(d), {1, 2, 5, 6}, v1::DATA_TYPE_F16);
         UseTables(d, 16);
         FillWithZeros(*Rope(d).mutable_sin(), {16, 4}, v1::DATA_TYPE_F16);
       },
       Form::kHalf},
      {"tables: sin has the rows of cos",
       [](Draft& d) {
         UseTables(d, 16);
         FillWithZeros(*Rope(d).mutable_sin(), {15, 4});
       }},
      {"tables: every query position, counted ones too, is a row",
       [](Draft& d) {
         UseTables(d, 16);
         Rope(d).mutable_positions()->Resize(3, 0);
         Rope(d).set_positions(2, 16);
         Rope(d).mutable_key_positions()->Resize(5, 0);
       }},
      {"tables: every key position, counted ones too, is a row",
       [](Draft& d) { UseTables(d, 4); }},
      {"the reply's tensors are at most --max-reply-bytes",
       [](Draft& d) { Output(d).set_top_k(1024); }},
  };
}

}  // namespace

v1::AttendRequest GoodAttendRequest() {
  v1::AttendRequest request;
  FillWithZeros(*request.mutable_query(), {1, 4, 3, 8});
  FillWithZeros(*request.mutable_key(), {1, 2, 5, 8});
  FillWithZeros(*request.mutable_value(), {1, 2, 5, 6});
  return request;
}

Violations AttendViolations() {
  return Joined<v1::AttendRequest>({OfTheMessage(), OfOneTensor(), OfShapes(),
                                    OfShapesTogether(), OfParams(), OfTheMask(),
                                    OfRopeNumbers(), OfRopeTables()});
}

}  // namespace attn::test
