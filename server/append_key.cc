#include "server/append_key.h"

#define XXH_INLINE_ALL  // No library to load beside the header.
#include <xxhash.h>

namespace attn {
namespace {

class Hash {
 public:
  Hash() { XXH3_128bits_reset(&state_); }

  void Add(const void* data, size_t size) {
    XXH3_128bits_update(&state_, data, size);
  }
  void Add(int64_t number) { Add(&number, sizeof(number)); }
  void Add(float number) { Add(&number, sizeof(number)); }
  void Add(const FragmentedBytes& bytes, ByteRange range) {
    bytes.ForEach(range, [this](const std::byte* data, int64_t size) {
      Add(data, static_cast<size_t>(size));
    });
  }
  void Add(const std::vector<int64_t>& numbers) {
    Add(static_cast<int64_t>(numbers.size()));
    Add(numbers.data(), numbers.size() * sizeof(int64_t));
  }
  void Add(const TensorSpec& tensor) {
    Add(int64_t{static_cast<int32_t>(tensor.dtype)});
    for (const int64_t dim : tensor.dims) Add(dim);
  }

  AppendKey Key() const {
    const XXH128_hash_t value = XXH3_128bits_digest(&state_);
    return {
        .num_tokens = 0, .hash_low = value.low64, .hash_high = value.high64};
  }

 private:
  XXH3_state_t state_;
};

}  // namespace

ReadBytes ReaderOf(const FragmentedBytes& bytes, ByteRange place) {
  return [&bytes, place](int64_t offset, int64_t size, std::byte* to) {
    bytes.CopyTo({place.offset + offset, size}, to);
  };
}

SessionCall MakeSessionCall(Session& session, const SessionTarget& target,
                            const FragmentedBytes& bytes,
                            const RequestSpec& spec,
                            const TensorPlaces& places) {
  return {
      .session = session,
      .layer = target.layer,
      .expected_length = target.expected_length,
      .spec = spec,
      .append = HashAppend(bytes, spec, places),
      .tensors = {.layout = spec.layout,
                  .key = {spec.key.dtype, ReaderOf(bytes, places.key)},
                  .value = {spec.value.dtype, ReaderOf(bytes, places.value)}}};
}

AppendKey HashAppend(const FragmentedBytes& bytes, const RequestSpec& spec,
                     const TensorPlaces& places) {
  if (!spec.key.is_present && !spec.value.is_present) return {};
  Hash hash;
  hash.Add(int64_t{static_cast<int32_t>(spec.layout)});
  hash.Add(spec.key);
  hash.Add(spec.value);
  hash.Add(bytes, places.key);
  hash.Add(bytes, places.value);
  if (spec.params.rope.has_value()) {
    const RopeParams& rope = *spec.params.rope;
    hash.Add(rope.base);
    hash.Add(rope.scaling_factor);
    hash.Add(rope.rotary_dim);
    hash.Add(int64_t{rope.is_interleaved});
    hash.Add(rope.positions);
    hash.Add(rope.key_positions);
    hash.Add(spec.rope_cos);
    hash.Add(bytes, places.rope_cos);
    hash.Add(bytes, places.rope_sin);
  }
  return hash.Key();
}

AppendKey HashForward(const FragmentedBytes& bytes,
                      const DecodedForward& decoded) {
  const bool has_context = decoded.spec.context.is_present;
  Hash hash;
  hash.Add(static_cast<int64_t>(decoded.layer.size()));
  hash.Add(decoded.layer.data(), decoded.layer.size());
  hash.Add(int64_t{has_context});
  hash.Add(has_context ? decoded.spec.context : decoded.spec.hidden);
  hash.Add(bytes, has_context ? decoded.places.context : decoded.places.hidden);
  if (!has_context) hash.Add(decoded.spec.positions);
  return hash.Key();
}

}  // namespace attn
