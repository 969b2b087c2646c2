#include "client/examples/decode/matrix.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace tiny_decoder {

Matrix Matrix::Random(size_t rows, size_t columns, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal(
      0.0, 1.0 / std::sqrt(static_cast<double>(rows)));
  Matrix matrix = Zero(rows, columns);
  for (double& value : matrix.values) {
    value = normal(random);
  }
  return matrix;
}

Matrix LastRows(const Matrix& a, size_t count) {
  return {count, a.columns, {a.row(a.rows - count), a.row(a.rows)}};
}

Matrix Multiply(const Matrix& a, const Matrix& b) {
  Matrix product = Matrix::Zero(a.rows, b.columns);
  for (size_t i = 0; i < a.rows; ++i) {
    for (size_t k = 0; k < a.columns; ++k) {
      for (size_t j = 0; j < b.columns; ++j) {
        product.row(i)[j] += a.row(i)[k] * b.row(k)[j];
      }
    }
  }
  return product;
}

void AddTo(Matrix& sum, const Matrix& term) {
  for (size_t i = 0; i < sum.values.size(); ++i) {
    sum.values[i] += term.values[i];
  }
}

Matrix NormalizeRows(const Matrix& a) {
  Matrix normal = a;
  for (size_t i = 0; i < a.rows; ++i) {
    double squares = 0;
    for (size_t j = 0; j < a.columns; ++j) {
      squares += a.row(i)[j] * a.row(i)[j];
    }
    const double rms = std::sqrt(squares / static_cast<double>(a.columns));
    for (size_t j = 0; j < a.columns; ++j) {
      normal.row(i)[j] /= rms;
    }
  }
  return normal;
}

double RelativeError(const Matrix& found, const Matrix& expected) {
  double error = 0;
  double largest = 0;
  for (size_t i = 0; i < expected.values.size(); ++i) {
    const double distance = std::abs(found.values[i] - expected.values[i]);
    if (!std::isfinite(distance)) {
      return std::numeric_limits<double>::infinity();  // std::max drops NaN.
    }
    error = std::max(error, distance);
    largest = std::max(largest, std::abs(expected.values[i]));
  }
  return error == 0 ? 0 : error / largest;
}

}  // namespace tiny_decoder
