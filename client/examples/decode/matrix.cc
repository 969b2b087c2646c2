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

void Add(const Matrix& b, Matrix& a) {
  for (size_t i = 0; i < a.values.size(); ++i) {
    a.values[i] += b.values[i];
  }
}

Matrix Normalize(const Matrix& a) {
  Matrix normal = a;
  for (size_t i = 0; i < a.rows; ++i) {
    double squares = 0;
    for (size_t j = 0; j < a.columns; ++j) {
      squares += a.row(i)[j] * a.row(i)[j];
    }
    const double size = std::sqrt(squares / static_cast<double>(a.columns));
    for (size_t j = 0; j < a.columns; ++j) {
      normal.row(i)[j] /= size;
    }
  }
  return normal;
}

double RelativeError(const Matrix& a, const Matrix& b) {
  double error = 0;
  double size = 0;
  for (size_t i = 0; i < b.values.size(); ++i) {
    const double distance = std::abs(a.values[i] - b.values[i]);
    if (!std::isfinite(distance)) {
      return std::numeric_limits<double>::infinity();
    }
    error = std::max(error, distance);
    size = std::max(size, std::abs(b.values[i]));
  }
  return error == 0 ? 0 : error / size;
}

}  // namespace tiny_decoder
