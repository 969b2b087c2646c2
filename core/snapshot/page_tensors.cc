#include "core/snapshot/page_tensors.h"

#include "core/tensor/dtype.h"

namespace attn {
namespace {

// Of pages of elements of the format's dtype.
std::vector<PageTensor> FloatTensors(const KvFormat& format,
                                     std::string_view key_name,
                                     std::string_view value_name) {
  const PageTensor common{
      .form = PageForm::kFloat,
      .name = {},
      .dtype = DataTypeName(format.dtype),
      .element_bytes = ElementBytes(format.dtype),
      .head_stride = format.key_block_bytes() + format.value_block_bytes()};
  PageTensor key = common, value = common;
  key.name = key_name;
  key.rows = format.head_dim;
  key.columns = kPageTokens;
  key.first_offset = format.KeyOffset(0);
  value.name = value_name;
  value.rows = kPageTokens;
  value.columns = format.value_head_dim;
  value.first_offset = format.ValueOffset(0);
  return {key, value};
}

std::vector<PageTensor> PackedTensors(const KvFormat& format) {
  const PackedOffsets at = format.PackedOffsetsOf(0);
  const int64_t head_stride = format.PackedOffsetsOf(1).keys - at.keys;
  const auto codes = [&](std::string_view name, int64_t rows, int64_t columns,
                         int64_t offset) {
    return PageTensor{PageForm::kPacked, name,   "I8",       1, rows,
                      columns,           offset, head_stride};
  };
  const auto scales = [&](std::string_view name, int64_t rows, int64_t offset) {
    return PageTensor{
        PageForm::kPacked, name, "F32", sizeof(float), rows, 1, offset,
        head_stride};
  };
  return {codes("key", format.head_dim, kPageTokens, at.keys),
          scales("key_scale", format.head_dim, at.key_scales),
          codes("value", kPageTokens, format.value_head_dim, at.values),
          scales("value_scale", kPageTokens, at.value_scales)};
}

}  // namespace

std::vector<PageTensor> PageTensorsOf(const KvFormat& format) {
  if (!format.packs_full_pages) return FloatTensors(format, "key", "value");
  std::vector<PageTensor> tensors = PackedTensors(format);
  for (const PageTensor& tensor :
       FloatTensors(format, "tail_key", "tail_value")) {
    tensors.push_back(tensor);
  }
  return tensors;
}

PageRun PagesOf(const PageTensor& tensor, const KvFormat& format,
                const LayerExtent& layer) {
  if (!format.packs_full_pages) return {0, layer.num_pages()};
  const int64_t num_full = layer.num_full_pages();
  if (tensor.form == PageForm::kPacked) return {0, num_full};
  return {num_full, layer.num_pages() - num_full};
}

}  // namespace attn
