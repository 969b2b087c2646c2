// Sessions as text for humans and as JSON. Pure functions: thread-safe.
#pragma once

#include <string>
#include <vector>

#include "client/cpp/session.h"

namespace attn::attnctl {

// One fact a line. Ends in a newline, here and below.
std::string RenderSession(const client::Session& session);

// A table with one session a line; "no sessions" for none.
std::string RenderSessions(const std::vector<client::Session>& sessions);

// One line: {"session_id": ..., "spec": {...}, "layer_lengths": [...], ...};
// absent times and idle_ttl are null.
std::string RenderSessionJson(const client::Session& session);

// {"sessions": [...], "next_page_token": "..."}, one session a line.
std::string RenderSessionsJson(const client::ListPage& page);

}  // namespace attn::attnctl
