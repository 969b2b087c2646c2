// Any bytes as a model's folder: it must be opened and its layers loaded, or be
// refused with a reason, within the memory that its size explains.
//
// The first byte is kind + 4 * WeightFormat. The rest is cut at its NULs:
//   kind 0, 3   config.json, model.safetensors as it is
//   kind 1      config.json, a header, data
//   kind 2      config.json, the index, two headers, data
// Headers of kind 1 and 2 get their size in front and as much data behind as
// they ask for, the data over and over, so that the search gets past what no
// luck would find.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/layer/layer_store.h"
#include "tests/support/safetensors_case.h"
#include "tests/support/temporary_folder.h"

namespace attn {
namespace {

constexpr int64_t kMaxDataBytes = int64_t{64} << 10;

// The text before the next NUL, which goes.
std::string_view Cut(std::string_view& rest) {
  const size_t end = std::min(rest.find('\0'), rest.size());
  const std::string_view text = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return text;
}

// How many bytes of data this header describes, as far as it can be read.
int64_t DataBytesOf(std::string_view header) {
  constexpr std::string_view kField = "\"data_offsets\":[";
  int64_t end = 0;
  for (size_t at = header.find(kField); at != header.npos;
       at = header.find(kField, at + 1)) {
    size_t digit =
        std::min(header.find(',', at + kField.size()), header.size());
    int64_t found = 0;
    for (++digit; digit < header.size() && header[digit] >= '0' &&
                  header[digit] <= '9' && found < kMaxDataBytes;
         ++digit) {
      found = found * 10 + (header[digit] - '0');
    }
    end = std::max(end, found);
  }
  return std::min(end, kMaxDataBytes);
}

std::string Repaired(std::string_view header, std::string_view data) {
  std::string bytes;
  const auto wanted = static_cast<size_t>(DataBytesOf(header));
  while (!data.empty() && bytes.size() < wanted) bytes += data;
  bytes.resize(wanted);
  return test::Safetensors(header, bytes);
}

// One folder for all inputs, which a process tries one after another.
class ModelFolder {
 public:
  // Returns how many bytes it wrote.
  int64_t Fill(uint8_t kind, std::string_view rest) {
    for (const auto& entry : std::filesystem::directory_iterator(path())) {
      std::filesystem::remove(entry.path());
    }
    num_bytes_ = 0;
    Write("config.json", Cut(rest));
    if (kind == 1) {
      const std::string_view header = Cut(rest);
      Write("model.safetensors", Repaired(header, rest));
    } else if (kind == 2) {
      Write("model.safetensors.index.json", Cut(rest));
      const std::string_view first = Cut(rest), second = Cut(rest);
      Write("m-1.safetensors", Repaired(first, rest));
      Write("m-2.safetensors", Repaired(second, rest));
    } else {
      Write("model.safetensors", rest);
    }
    return num_bytes_;
  }

  const std::string& path() const { return folder_.path(); }

 private:
  void Write(const std::string& name, std::string_view bytes) {
    std::ofstream(folder_.At(name), std::ios::binary) << bytes;
    num_bytes_ += std::ssize(bytes);
  }

  const test::TemporaryFolder folder_;
  int64_t num_bytes_ = 0;
};

// Weights may be two bytes each in the file and four in memory, and dimensions
// are rounded up to 16 inputs and 64 channels, memory to huge pages: at most
// 400 bytes for one.
bool IsExplained(const AttentionLayer& layer, int64_t num_bytes) {
  return layer.weight_bytes() <= 400 * num_bytes + (int64_t{64} << 10);
}

void CheckRefusal(const absl::Status& status) {
  ATTN_CHECK(!absl::IsInternal(status));
  ATTN_CHECK(ReasonOf(status) != Reason::kNone);
  ATTN_CHECK(PublicMessage(status).size() > 0);
}

// The first two layers and the last one.
void CheckLoads(const std::string& folder, WeightFormat format,
                int64_t num_bytes) {
  LayerStore store({.folder = folder, .max_bytes = int64_t{16} << 20});
  const auto names = store.Published();
  if (!names.ok()) return CheckRefusal(names.status());
  ATTN_CHECK(!names->empty());
  for (const size_t i : {size_t{0}, size_t{1}, names->size() - 1}) {
    const std::string& name = (*names)[std::min(i, names->size() - 1)];
    const auto layer = store.Load(name, format);
    if (!layer.ok()) {
      CheckRefusal(layer.status());
      continue;
    }
    ATTN_CHECK((*layer)->name == name);
    ATTN_CHECK(IsExplained(**layer, num_bytes));
    ATTN_CHECK(store.bytes() >= (*layer)->weight_bytes());
  }
}

}  // namespace
}  // namespace attn

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static attn::ModelFolder folder;
  if (size < 1) return 0;
  const int64_t num_bytes = folder.Fill(
      data[0] % 4, {reinterpret_cast<const char*>(data) + 1, size - 1});
  attn::CheckLoads(folder.path(),
                   static_cast<attn::WeightFormat>(data[0] / 4 % 5), num_bytes);
  return 0;
}
