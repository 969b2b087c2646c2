#include "tests/support/loaded_layer.h"

#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/layer/layer_store.h"
#include "tests/support/temporary_folder.h"

namespace attn::test {
namespace {

WeightFormat StoredFormat(DataType dtype) {
  if (dtype == DataType::kF16) return WeightFormat::kF16;
  return dtype == DataType::kBF16 ? WeightFormat::kBF16 : WeightFormat::kF32;
}

}  // namespace

LoadedLayer LoadTiny(const CheckpointOptions& options, WeightFormat format,
                     int64_t index) {
  const TemporaryFolder folder;
  const auto written = WriteCheckpoint(options, folder.At("tiny"));
  LayerStore store({.folder = folder.path()});
  const auto layer = store.Load(absl::StrCat("tiny/", index), format);
  if (!layer.ok()) {
    std::fprintf(stderr, "%s\n", layer.status().ToString().c_str());
  }
  ATTN_CHECK(layer.ok());
  const WeightFormat kept = format == WeightFormat::kUnspecified
                                ? StoredFormat(options.dtype)
                                : format;
  ATTN_CHECK((*layer)->format == kept);
  return {*layer,
          MakeReferenceLayer(options, written[static_cast<size_t>(index)],
                             index, kept)};
}

}  // namespace attn::test
