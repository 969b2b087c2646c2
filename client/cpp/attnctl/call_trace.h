// `--trace`: a W3C trace of attnctl's own around one call, and what the server
// answered to it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "client/cpp/options.h"

namespace attn::attnctl {

// Thread-compatible.
class CallTrace {
 public:
  // `random`: 64 bits at a time.
  explicit CallTrace(const std::function<uint64_t()>& random);

  // Adds the trace to a call, which fills it until it ends; this must live
  // until then.
  void AddTo(client::CallOptions& options);

  // For people: one line with the trace's id, the server's span and its times;
  // without these where the server answered none.
  std::string Text() const;
  // For programs: members of an object, with a comma before them.
  std::string JsonMembers() const;

 private:
  // "" where the server sent no such metadata.
  std::string Answered(const std::string& key) const;

  const std::string trace_id_;
  const std::string span_id_;
  client::Metadata trailers_;
};

}  // namespace attn::attnctl
