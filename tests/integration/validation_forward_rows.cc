// The table of Forward.
#include "tests/integration/validation_rows.h"
#include "tests/integration/zero_tensor.h"

namespace attn::test {
namespace {

using Draft = DraftOf<v1::ForwardRequest>;
using Violations = std::vector<Violation<v1::ForwardRequest>>;

v1::Tensor& Hidden(Draft& d) { return *d.request.mutable_hidden(); }
v1::Tensor& Context(Draft& d) { return *d.request.mutable_context(); }
v1::Tensor& Mask(Draft& d) { return *d.request.mutable_attn_mask(); }
v1::OutputOptions& Output(Draft& d) { return *d.request.mutable_output(); }

// That of the draft, or "s".
v1::SessionRef& Session(Draft& d) {
  v1::SessionRef& session = *d.request.mutable_session();
  if (session.session_id().empty()) session.set_session_id("s");
  return session;
}

Violations OfTheMessage() {
  return {
      {"the message is at most --max-request-bytes",
       UseIdOfSize<kBeyondTheMessage>},
      {"ForwardBatch has at most 4096 requests (the call fails)",
       UseLargeBatch},
      {"fields besides tensors take at most 4 MiB",
       UseIdOfSize<kBeyondSmallFields>},
      {"dtype and shape of a tensor take at most 1 KiB",
       [](Draft& d) { Hidden(d).mutable_shape()->Resize(1025, 1); }},
      {"the message can be decoded", CutOff},
      {"request_id is at most 256 bytes", UseIdOfSize<257>},
      {"priority is known", UseUnknownPriority},
      {"layer is given", [](Draft& d) { d.request.clear_layer(); }},
      {"output.shared is absent",
       [](Draft& d) { Output(d).mutable_shared()->set_region_id("r"); }},
      {"dtype and shape of every tensor can be decoded",
       // hidden (3) of 3 bytes: packed shape (2) of 1 byte, a cut varint.
       [](Draft& d) { d.trailing = "\x1a\x03\x12\x01\x80"; }},
      {"the layer is loaded", [](Draft& d) { d.request.set_layer("llama/7"); }},
      {"the session exists",
       [](Draft& d) { Session(d).set_session_id("nobody"); }, Form::kSession},
  };
}

Violations OfOneTensor() {
  return {
      {"¹ the tensor is there", [](Draft& d) { d.request.clear_hidden(); }},
      {"¹ its dtype is known", [](Draft& d) { Hidden(d).clear_dtype(); }},
      {"¹ it has at most 8 axes",
       [](Draft& d) {
         FillWithZeros(Hidden(d), {1, 1, 1, 1, 1, 1, 1, 1, 1});
       }},
      {"¹ its lengths are not negative, their product is below 2^63",
       [](Draft& d) {
         FillWithZeros(Hidden(d), {1, 3, 32});
         Hidden(d).set_shape(1, -3);
       }},
      {"¹ its data is as long as dtype and shape say",
       [](Draft& d) {
         FillWithZeros(Hidden(d), {1, 3, 32});
         Hidden(d).mutable_data()->pop_back();
       }},
      {"² it is of F32, F16 or BF16",
       [](Draft& d) {
         FillWithZeros(Hidden(d), {1, 3, 32}, v1::DATA_TYPE_F64);
       }},
      {"² it is [B, length, hidden_dim]",
       [](Draft& d) {
         FillWithZeros(Hidden(d), {1, 3, 31});
       }},
      {"² B is not 0",
       [](Draft& d) {
         FillWithZeros(Hidden(d), {0, 3, 32});
       }},
  };
}

Violations OfOtherTensors() {
  return {
      {"context has hidden's dtype",
       [](Draft& d) {
         FillWithZeros(Context(d), {1, 5, 32}, v1::DATA_TYPE_F16);
       }},
      {"context has hidden's B",
       [](Draft& d) {
         FillWithZeros(Hidden(d), {1, 3, 32});
         FillWithZeros(Context(d), {2, 5, 32});
       }},
      {"attn_mask: the rows ¹",
       [](Draft& d) {
         FillWithZeros(Mask(d), {3, 5});
         Mask(d).mutable_data()->pop_back();
       }},
      {"attn_mask is BOOL, F32 or of hidden's dtype",
       [](Draft& d) {
         FillWithZeros(Mask(d), {3, 5}, v1::DATA_TYPE_F64);
       }},
      {"with a session B is 1",
       [](Draft& d) {
         FillWithZeros(Hidden(d), {2, 3, 32});
         FillWithZeros(Context(d), {2, 5, 32});
         Session(d);
       },
       Form::kSession},
  };
}

Violations OfOptions() {
  return {
      {"causal is known",
       [](Draft& d) { d.request.set_causal(static_cast<v1::CausalMode>(9)); }},
      {"positions only of a layer with rope",
       [](Draft& d) {
         d.request.set_layer("gpt2/0");
         d.request.mutable_positions()->Resize(3, 0);
       }},
      {"output.dtype is F32, F16 or BF16",
       [](Draft& d) { Output(d).set_dtype(v1::DATA_TYPE_F64); }},
      {"session.layer is one of the session's",
       [](Draft& d) { Session(d).set_layer(2); }, Form::kSession},
      {"the session has the layer's num_kv_heads and head_dim",
       [](Draft& d) { Session(d).set_session_id("wide"); }, Form::kSession},
      {"output.weights is known",
       [](Draft& d) {
         Output(d).set_weights(static_cast<v1::WeightsMode>(9));
       }},
      {"output.top_k is at most 1024",
       [](Draft& d) { Output(d).set_top_k(1025); }},
  };
}

Violations OfLengths() {
  return {
      {"with a session kv_lengths are absent",
       [](Draft& d) {
         d.request.mutable_kv_lengths()->Resize(1, 5);
         Session(d);
       },
       Form::kSession},
      {"kv_lengths: none, or one a sequence",
       [](Draft& d) { d.request.mutable_kv_lengths()->Resize(2, 5); },
       Form::kStateless},
      {"kv_lengths are from 0 to kv_len",
       [](Draft& d) { d.request.mutable_kv_lengths()->Resize(1, 6); },
       Form::kStateless},
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
       },
       Form::kStateless},
      {"positions: none, or one a row of hidden",
       [](Draft& d) { d.request.mutable_positions()->Resize(2, 0); }},
      {"the reply's tensors are at most --max-reply-bytes",
       [](Draft& d) { Output(d).set_top_k(1024); }},
      {"³ expected_length is the layer's length",
       [](Draft& d) { Session(d).set_expected_length(7); }, Form::kSession},
      {"³ the layer's length stays within max_length",
       [](Draft& d) { Session(d).set_session_id("short"); }, Form::kSession},
      {"³ attn_mask is not longer than kv_len",
       [](Draft& d) {
         FillWithZeros(Mask(d), {3, 6});
         Session(d);
       },
       Form::kSession},
  };
}

}  // namespace

v1::ForwardRequest GoodForwardRequest() {
  v1::ForwardRequest request;
  request.set_layer("llama/0");
  FillWithZeros(*request.mutable_hidden(), {1, 3, 32});
  FillWithZeros(*request.mutable_context(), {1, 5, 32});
  return request;
}

Violations ForwardViolations() {
  return Joined<v1::ForwardRequest>({OfTheMessage(), OfOneTensor(),
                                     OfOtherTensors(), OfOptions(),
                                     OfLengths()});
}

}  // namespace attn::test
