// How close an answer must be to ONNX's golden, and which goldens are
// themselves too coarse for that.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "client/cpp/tensor.h"

namespace attn::test {

// |got - want| <= absolute + relative * |want|; equal infinities agree.
struct Tolerance {
  double relative = 0;
  double absolute = 0;
};

// What onnx's own backend runner allows every one of these cases.
inline constexpr Tolerance kOnnxTolerance = {1e-3, 1e-7};

// The cases that kOnnxTolerance cannot hold for, by name: ONNX computed their
// goldens in bf16, rounding after every operation, and a step of bf16 is up to
// 7.8e-3 of its number. The server computes in f32 and rounds once.
absl::Span<const std::string_view> RoundedGoldens();

// For those alone. The worst of them, attention_4d_causal_padded_kv_bf16, is
// off by 8.4e-3.
inline constexpr Tolerance kRoundedTolerance = {1e-2, 1e-7};

// The elements as floats; none for an absent tensor.
std::vector<float> ElementsOf(const client::Tensor& tensor);

// "" if got agrees with want, else how many elements do not and the worst one.
std::string Difference(absl::Span<const float> got, const client::Tensor& want,
                       const Tolerance& tolerance);

}  // namespace attn::test
