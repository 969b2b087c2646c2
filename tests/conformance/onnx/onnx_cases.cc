#include "tests/conformance/onnx/onnx_cases.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace attn::test {
namespace {

using Words = std::vector<std::string>;

template <typename T>
T Find(const std::map<std::string, T>& map, const std::string& name, T absent) {
  const auto found = map.find(name);
  return found == map.end() ? std::move(absent) : found->second;
}

// kUnspecified for a name that generate.py does not write.
client::DType DTypeOf(const std::string& name) {
  using client::DType;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBf16, DType::kF64,
                            DType::kBool, DType::kI64}) {
    if (name == client::DTypeName(dtype)) {
      return dtype;
    }
  }
  return DType::kUnspecified;
}

// Reads the index line by line; each Read* takes the words of one line and
// says whether they are well-formed.
class IndexReader {
 public:
  explicit IndexReader(std::shared_ptr<const std::string> blob)
      : blob_(std::move(blob)) {}

  bool ReadLine(const Words& words) {
    const std::string& kind = words[0];
    if (kind == "onnx") {
      return words.size() == 2;
    }
    if (kind == "cases" || kind == "bytes") {
      uint64_t& promised = kind == "cases" ? promised_cases_ : promised_bytes_;
      return words.size() == 2 && absl::SimpleAtoi(words[1], &promised);
    }
    if (kind == "case") {
      return ReadCase(words);
    }
    if (cases_.empty()) {
      return false;
    }
    if (kind == "attr") {
      return ReadAttribute(words);
    }
    return ReadTensor(words);
  }

  // True if as many cases and bytes were there as the index promises.
  bool IsComplete() const {
    return cases_.size() == promised_cases_ && blob_->size() == promised_bytes_;
  }

  std::vector<OnnxCase> TakeCases() { return std::move(cases_); }

 private:
  // case NAME OPERATOR OPSET
  bool ReadCase(const Words& words) {
    if (words.size() != 4) {
      return false;
    }
    OnnxCase& c = cases_.emplace_back();
    c.name = words[1];
    c.op = words[2];
    return (c.op == "Attention" || c.op == "RotaryEmbedding") &&
           absl::SimpleAtoi(words[3], &c.opset);
  }

  // attr NAME int|float VALUE
  bool ReadAttribute(const Words& words) {
    if (words.size() != 4) {
      return false;
    }
    OnnxCase& c = cases_.back();
    if (words[2] == "int") {
      int64_t value = 0;
      return absl::SimpleAtoi(words[3], &value) &&
             c.ints.emplace(words[1], value).second;
    }
    float value = 0;
    return words[2] == "float" && absl::SimpleAtof(words[3], &value) &&
           std::isfinite(value) && c.floats.emplace(words[1], value).second;
  }

  // input|output NAME DTYPE 2x3x4 OFFSET
  bool ReadTensor(const Words& words) {
    const bool is_input = words[0] == "input";
    if (words.size() != 5 || (!is_input && words[0] != "output")) {
      return false;
    }
    const client::DType dtype = DTypeOf(words[2]);
    client::Shape shape;
    const Words lengths = absl::StrSplit(words[3], 'x');
    for (const std::string& length : lengths) {
      if (!absl::SimpleAtoi(length, &shape.emplace_back())) {
        return false;
      }
    }
    const absl::StatusOr<int64_t> elements = client::NumElements(shape);
    uint64_t offset = 0;
    if (dtype == client::DType::kUnspecified || !elements.ok() ||
        !absl::SimpleAtoi(words[4], &offset) || offset > blob_->size()) {
      return false;
    }
    const uint64_t room = blob_->size() - offset;
    const uint64_t element_bytes = client::ElementBytes(dtype);
    if (static_cast<uint64_t>(*elements) > room / element_bytes) {
      return false;
    }
    const auto bytes = std::string_view(*blob_).substr(
        offset, static_cast<uint64_t>(*elements) * element_bytes);
    OnnxCase& c = cases_.back();
    return (is_input ? c.inputs : c.outputs)
        .emplace(words[1], client::Tensor::Share(dtype, shape, blob_, bytes))
        .second;
  }

  const std::shared_ptr<const std::string> blob_;
  uint64_t promised_cases_ = 0;
  uint64_t promised_bytes_ = 0;
  std::vector<OnnxCase> cases_;
};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int64_t OnnxCase::Int(const std::string& attribute, int64_t absent) const {
  return Find(ints, attribute, absent);
}

float OnnxCase::Float(const std::string& attribute, float absent) const {
  return Find(floats, attribute, absent);
}

client::Tensor OnnxCase::Input(const std::string& input) const {
  return Find(inputs, input, client::Tensor());
}

client::Tensor OnnxCase::Output(const std::string& output) const {
  return Find(outputs, output, client::Tensor());
}

std::vector<int64_t> OnnxCase::Integers(const std::string& input) const {
  const client::Tensor tensor = Input(input);
  std::vector<int64_t> integers(tensor.bytes().size() / sizeof(int64_t));
  if (!integers.empty()) {
    std::memcpy(integers.data(), tensor.bytes().data(), tensor.bytes().size());
  }
  return integers;
}

absl::StatusOr<std::vector<OnnxCase>> ParseOnnxCases(
    const std::string& index, std::shared_ptr<const std::string> blob) {
  IndexReader reader(std::move(blob));
  int number = 0;
  const Words lines = absl::StrSplit(index, '\n');
  for (const std::string& line : lines) {
    ++number;
    const bool is_content = !line.empty() && line[0] != '#';
    if (is_content && !reader.ReadLine(absl::StrSplit(line, ' '))) {
      return absl::InvalidArgumentError(
          absl::StrCat("cases.txt:", number, ": not understood: ", line));
    }
  }
  if (!reader.IsComplete()) {
    return absl::InvalidArgumentError(
        "cases.txt and cases.bin must hold as many cases and bytes as the "
        "index's first lines say");
  }
  return reader.TakeCases();
}

std::vector<OnnxCase> ReadOnnxCases() {
  const std::string folder = ATTN_ONNX_CASES_FOLDER;
  auto cases = ParseOnnxCases(
      ReadFile(folder + "/cases.txt"),
      std::make_shared<const std::string>(ReadFile(folder + "/cases.bin")));
  if (!cases.ok()) {
    std::fprintf(stderr, "%s\n", cases.status().ToString().c_str());
    std::abort();
  }
  return *std::move(cases);
}

}  // namespace attn::test
