// The Python dictionary in the header of a .npy file, and nothing else of
// Python: exactly the keys descr, fortran_order and shape, in any order.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/cpp/tensor.h"

namespace attn::attnctl {

struct NpyDict {
  std::string descr;
  bool fortran_order = false;
  client::Shape shape;
};

// Errors: INVALID_ARGUMENT that says what was expected and where.
absl::StatusOr<NpyDict> ParseNpyDict(std::string_view text);

}  // namespace attn::attnctl
