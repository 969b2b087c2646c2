// The jobs of a batch or of a stream on their way into the engine: those on one
// session form a lane and are submitted one after another, each when the one
// before is done; those at the front, and those without a session, together.
#pragma once

#include <memory>
#include <vector>

#include "core/engine/forward_job.h"
#include "core/kv_cache/session_store.h"
#include "server/request_flow.h"

namespace attn {

// Thread-compatible; it may go as soon as Submit has returned.
class ForwardLanes {
 public:
  ForwardLanes();

  // `session`: null, or the lane.
  void Add(std::shared_ptr<RequestFlow> flow, const SessionPtr& session,
           ForwardSubmission submission);

  // After the last Add of a message. What is behind others follows by itself.
  void Submit();

 private:
  struct Entry {
    std::shared_ptr<RequestFlow> flow;
    ForwardSubmission submission;
  };
  class Queues;

  std::vector<Entry> front_;
  // Shared with the callbacks of what is under way.
  const std::shared_ptr<Queues> queues_;
};

}  // namespace attn
