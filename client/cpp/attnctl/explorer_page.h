// The page that `attnctl attend --html` writes: an attention explorer, one
// file that needs no server, no network and no other file. Its markup, style
// and script are in explorer/, built in; this puts the weights in between.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/cpp/attnctl/weights_view.h"
#include "client/cpp/tensor.h"

namespace attn::attnctl {

// `weights`: [B, num_q_heads, q_len, kv_len] f32 probabilities; entry 0 of the
// batch is shown, options.head and options.row at first ("all" is as "mean";
// options.column is not used). A weight is written as the nearest of 65536
// steps, so that it is right to 0.0008 percent points and takes 8/3 bytes: 16
// heads of 500 rows and keys come to 11 MB. Names may hold any bytes; what is
// not UTF-8 reads as U+FFFD. Errors: INVALID_ARGUMENT as NameWeights, for an
// unknown head or row, and for more weights than a browser takes well.
absl::StatusOr<std::string> RenderExplorer(const client::Tensor& weights,
                                           const WeightsViewOptions& options);

}  // namespace attn::attnctl
