// What both kinds of bench say of their load in the same words: the errors, as
// a table and as entries of flat JSON. Pure functions.
#pragma once

#include <string>

#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/load_record.h"

namespace attn::attnctl {

// An empty line, a title and a row for each error; "" where there was none.
std::string RenderErrors(const LoadFigures& figures);

// Adds "errors: NAME" for each error, for JsonObject.
void AddErrors(const LoadFigures& figures, JsonEntries& entries);

}  // namespace attn::attnctl
