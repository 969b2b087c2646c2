// Rows of f32 packed to int8 with a scale each: what a full page of an int8
// session is made of. A row of keys is one channel of a page's 64 tokens, a row
// of values is one token.
//
// An element is its code times the row's scale, rounded to f32 once. The scale
// is the largest |x| / 127, so that an element is off by at most half of it; a
// row of zeros has the scale 0, and so has one whose scale would be subnormal,
// which kernels count as 0.
//
// NaN and infinity stay what they are, and touch no other element: a row that
// has some is marked by the sign of its scale, and keeps three codes for them.
#pragma once

#include <cmath>
#include <cstdint>

namespace attn {

// Borrows the packed rows. Thread-compatible, constant once made.
struct Int8Rows {
  const int8_t* codes = nullptr;  // [rows, length]
  const float* scales = nullptr;  // [rows]
  int64_t length = 0;             // Of a row.

  // Whether a row holds NaN or infinity.
  bool IsMarked(int64_t row) const { return std::signbit(scales[row]); }
  // One element, as WidenRows gives it.
  float At(int64_t row, int64_t i) const;
};

// Whether any of n rows is marked.
bool HasMarkedRow(const float* scales, int64_t n);

// Codes of from[0, n); returns the scale. The same values give the same bits.
float PackRow(const float* from, int64_t n, int8_t* codes);

// A part of the rows [0, num_rows): elements [first, first + n) of each.
struct Int8Part {
  int64_t num_rows = 0;
  int64_t first = 0;
  int64_t n = 0;
};

// to: [num_rows, stride], n of each. SIMD code for AVX2 and AVX-512, chosen at
// run time. REQUIRES: stride >= n, first + n <= from.length.
void WidenRows(const Int8Rows& from, const Int8Part& part, float* to,
               int64_t stride);

}  // namespace attn
