// One ONNX RotaryEmbedding case as attention. The server rotates no tensor by
// itself, but the raw scores of X as the query against the identity matrix as
// the keys, at scale 1, are X rotated, each score one element and no sum. The
// keys stay as they are: their position is a row of the tables that is added
// here, cos 1 and sin 0.
#pragma once

#include <vector>

#include "client/cpp/request.h"
#include "tests/conformance/onnx/onnx_cases.h"

namespace attn::test {

// One request for each batch row, because the contract's positions are shared
// by the batch and ONNX's are not. REQUIRES: c.op is RotaryEmbedding, f32.
std::vector<client::AttendRequest> ToRotaryRequests(const OnnxCase& c);

// What those requests' answers say, in the order of c's own output Y.
// REQUIRES: every response carries weights [1, H, S, D].
std::vector<float> RotatedElements(
    const OnnxCase& c, const std::vector<client::AttendResponse>& responses);

}  // namespace attn::test
