// One ONNX Attention case as one AttendRequest: how an operator's inputs and
// attributes are said in the contract (proto/README.md).
#pragma once

#include "client/cpp/request.h"
#include "tests/conformance/onnx/onnx_cases.h"

namespace attn::test {

// past_key and past_value are joined with K and V here: the server keeps no
// past without a session, so present_key and present_value are the caller's
// own. softmax_precision is not sent: the server's softmax is always f32.
// Asks for weights if the case expects qk_matmul_output.
// REQUIRES: c.op is Attention; its K, V and past_* have ranks as in ONNX.
client::AttendRequest ToAttentionRequest(const OnnxCase& c);

}  // namespace attn::test
