// A matrix of doubles, row-major, and the arithmetic that the example needs.
// Plain values: thread-compatible.
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
  // Normal numbers with the standard deviation 1 / sqrt(rows): x . Random has
  // elements as large as those of x.
  static Matrix Random(size_t rows, size_t columns, uint64_t seed);

  double* row(size_t r) { return values.data() + r * columns; }
  const double* row(size_t r) const { return values.data() + r * columns; }
};

// The newest `count` rows of `a`. REQUIRES: it has so many.
Matrix LastRows(const Matrix& a, size_t count);

// a . b; a: [n, k], b: [k, m] -> [n, m].
Matrix Multiply(const Matrix& a, const Matrix& b);

// sum += term, element by element. REQUIRES: equal shapes.
void AddTo(Matrix& sum, const Matrix& term);

// RMSNorm without weights: each row divided by its root mean square. REQUIRES:
// no row of zeros.
Matrix NormalizeRows(const Matrix& a);

// The largest |found - expected| over the largest |expected|; infinite where
// one of `found` is not finite. REQUIRES: equal shapes.
double RelativeError(const Matrix& found, const Matrix& expected);

}  // namespace tiny_decoder
