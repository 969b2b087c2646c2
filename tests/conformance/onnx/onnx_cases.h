// ONNX's own node test cases for Attention and RotaryEmbedding, as generate.py
// wrote them: cases.txt names every case, attribute and tensor, cases.bin holds
// the tensors' bytes. What the conformance test sends and expects.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cpp/tensor.h"

namespace attn::test {

// One node with its inputs and expected outputs, by their names in the
// operator's schema. Absent attributes and inputs are absent here.
struct OnnxCase {
  std::string name;  // As in onnx, without "test_".
  std::string op;    // "Attention" or "RotaryEmbedding"
  int64_t opset = 0;
  std::map<std::string, int64_t> ints;
  std::map<std::string, float> floats;
  std::map<std::string, client::Tensor> inputs;
  std::map<std::string, client::Tensor> outputs;

  // So that gtest says which case failed.
  friend void PrintTo(const OnnxCase& c, std::ostream* out) { *out << c.name; }

  // The attribute, or `absent` where the case has none of that name.
  int64_t Int(const std::string& attribute, int64_t absent) const;
  float Float(const std::string& attribute, float absent) const;
  // An absent tensor where the case has none of that name.
  client::Tensor Input(const std::string& input) const;
  client::Tensor Output(const std::string& output) const;
  // The elements of an i64 input; none where it is absent.
  std::vector<int64_t> Integers(const std::string& input) const;
};

// The tensors share `blob`. Errors: INVALID_ARGUMENT, with the line, for
// whatever README.md does not describe.
absl::StatusOr<std::vector<OnnxCase>> ParseOnnxCases(
    const std::string& index, std::shared_ptr<const std::string> blob);

// The cases beside this file. Dies when they cannot be read.
std::vector<OnnxCase> ReadOnnxCases();

}  // namespace attn::test
