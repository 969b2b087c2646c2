// Early return of errors.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define ATTN_RETURN_IF_ERROR(expression)                \
  do {                                                  \
    if (absl::Status status_macro_value = (expression); \
        !status_macro_value.ok()) {                     \
      return status_macro_value;                        \
    }                                                   \
  } while (false)

#define ATTN_MACRO_JOIN_INNER(a, b) a##b
#define ATTN_MACRO_JOIN(a, b) ATTN_MACRO_JOIN_INNER(a, b)

// ATTN_ASSIGN_OR_RETURN(auto value, MakeValue());
#define ATTN_ASSIGN_OR_RETURN(declaration, expression)              \
  ATTN_ASSIGN_OR_RETURN_IMPL(ATTN_MACRO_JOIN(status_or_, __LINE__), \
                             declaration, expression)
#define ATTN_ASSIGN_OR_RETURN_IMPL(status_or, declaration, expression) \
  auto status_or = (expression);                                       \
  if (!status_or.ok()) return std::move(status_or).status();           \
  declaration = *std::move(status_or)
