#include "client/cpp/attnctl/problem_source.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace attn::attnctl {
namespace {

using client::Tensor;

constexpr uint64_t kOffsets = 1024;  // Places at which a view may begin.
constexpr int64_t kMaxBytes = int64_t{1} << 31;

// splitmix64: a good hash of (seed, index) and a random generator in one line
// of state.
uint64_t Mix(uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

double Uniform(uint64_t draw) {
  return (static_cast<double>(draw >> 11) + 0.5) * 0x1p-53;
}

// Box-Muller.
std::vector<float> NormalNumbers(size_t count, uint64_t seed) {
  constexpr double kTwoPi = 6.283185307179586;
  std::vector<float> numbers(count);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t draw = Mix(seed ^ Mix(i));
    const double radius = std::sqrt(-2.0 * std::log(Uniform(draw)));
    numbers[i] =
        static_cast<float>(radius * std::cos(kTwoPi * Uniform(Mix(draw))));
  }
  return numbers;
}

ProblemShape Complete(ProblemShape shape) {
  if (shape.num_kv_heads == 0) {
    shape.num_kv_heads = shape.num_q_heads;
  }
  if (shape.value_head_dim == 0) {
    shape.value_head_dim = shape.head_dim;
  }
  return shape;
}

}  // namespace

int64_t DrawLength(const LengthRange& range, uint64_t draw) {
  const int64_t shift = range.first == 0 ? 1 : 0;
  const auto low = static_cast<double>(range.first + shift);
  const auto high = static_cast<double>(range.last + shift) + 1.0;
  const double length = low * std::pow(high / low, Uniform(draw));
  return std::clamp(static_cast<int64_t>(length) - shift, range.first,
                    range.last);
}

absl::StatusOr<ProblemSource> ProblemSource::Create(const ProblemShape& shape,
                                                    uint64_t seed) {
  const ProblemShape whole = Complete(shape);
  const int64_t dim = std::max(whole.head_dim, whole.value_head_dim);
  const int64_t length = std::max(whole.q_len.last, whole.kv_len.last);
  const absl::StatusOr<int64_t> elements = client::NumElements(
      {whole.batch_size, std::max(whole.num_q_heads, whole.num_kv_heads),
       length, dim});
  const auto element_bytes =
      static_cast<int64_t>(client::ElementBytes(whole.dtype));
  if (!elements.ok() || *elements > kMaxBytes / element_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a tensor must not exceed ", kMaxBytes,
        " bytes; got batch size x heads x length x dim = ", whole.batch_size,
        " x ", whole.num_q_heads, " x ", length, " x ", dim));
  }
  const size_t count = static_cast<size_t>(*elements) + kOffsets;
  absl::StatusOr<Tensor> pool = Tensor::FromFloats(
      NormalNumbers(count, seed), {static_cast<int64_t>(count)}, whole.dtype);
  if (!pool.ok()) {
    return pool.status();
  }
  return ProblemSource(whole, seed, *std::move(pool));
}

ProblemSource::ProblemSource(const ProblemShape& shape, uint64_t seed,
                             Tensor pool)
    : shape_(shape), seed_(seed), pool_(std::move(pool)) {}

client::AttendRequest ProblemSource::Make(uint64_t index) const {
  const uint64_t base = Mix(seed_ ^ Mix(index));
  const int64_t q_len = DrawLength(shape_.q_len, Mix(base + 1));
  const int64_t kv_len = DrawLength(shape_.kv_len, Mix(base + 2));
  client::AttendRequest request;
  request.request_id = absl::StrCat(index);
  request.query =
      View({shape_.batch_size, shape_.num_q_heads, q_len, shape_.head_dim},
           Mix(base + 3));
  request.key =
      View({shape_.batch_size, shape_.num_kv_heads, kv_len, shape_.head_dim},
           Mix(base + 4));
  request.value = View(
      {shape_.batch_size, shape_.num_kv_heads, kv_len, shape_.value_head_dim},
      Mix(base + 5));
  request.params.causal = shape_.causal;
  request.priority = shape_.priority;
  return request;
}

uint64_t ProblemSource::TensorBytes(const client::AttendRequest& request) {
  return request.query.bytes().size() + request.key.bytes().size() +
         request.value.bytes().size();
}

Tensor ProblemSource::View(client::Shape shape, uint64_t draw) const {
  const size_t element_bytes = client::ElementBytes(shape_.dtype);
  size_t bytes = element_bytes;
  for (const int64_t length : shape) {
    bytes *= static_cast<size_t>(length);
  }
  return Tensor::Share(
      shape_.dtype, std::move(shape), pool_.owner(),
      pool_.bytes().substr(draw % kOffsets * element_bytes, bytes));
}

}  // namespace attn::attnctl
