// A matrix of doubles, row-major; just what the example needs. Plain values:
// thread-compatible.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tiny_decoder {

struct Matrix {
  size_t rows = 0;
  size_t columns = 0;
  std::vector<double> values = {};  // [rows, columns]

  static Matrix Zero(size_t rows, size_t columns) {
    return {rows, columns, std::vector<double>(rows * columns)};
  }
  // Normally distributed, each with the standard deviation 1 / sqrt(rows), so
  // that a product keeps the size of what it multiplies.
  static Matrix Random(size_t rows, size_t columns, uint64_t seed);

  double* row(size_t r) { return values.data() + r * columns; }
  const double* row(size_t r) const { return values.data() + r * columns; }
};

// a . b; a: [n, k], b: [k, m].
Matrix Multiply(const Matrix& a, const Matrix& b);

// a += b, of the same shape.
void Add(const Matrix& b, Matrix& a);

// Each row divided by its root mean square.
Matrix Normalize(const Matrix& a);

// The largest abs(a - b) / the largest abs(b); infinite where a is not finite.
double RelativeError(const Matrix& a, const Matrix& b);

}  // namespace tiny_decoder
