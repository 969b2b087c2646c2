// A Linear of f32 that oneDNN's matmul primitive multiplies, its weights packed
// once in the library's own layout.
//
// Not every matmul will do. The library's "brg" code, of CPUs with AVX-512 and
// for dense rows, gives a row the same bits for every number of rows; its
// "gemm" code does not (README.md). So rows are made dense on the way, a layer
// that would get other code is refused, and every primitive is made when the
// weights are packed: one for each number of rows of a tile.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "core/projection/linear.h"

namespace attn {

// Null where the library has no such code for this CPU or these dimensions.
// Else as Linear::Pack with kF32.
absl::StatusOr<std::unique_ptr<Linear>> PackOnednnLinear(
    const LinearSource& source);

}  // namespace attn
