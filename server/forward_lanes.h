// The jobs of one message on their way into the engine: those on one session
// form a lane and are submitted one after another, each when the one before is
// done; those at the front, and those without a session, together.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "core/engine/forward_job.h"
#include "core/kv_cache/session_store.h"
#include "server/request_flow.h"

namespace attn {

// Thread-compatible; it may go as soon as Submit has returned.
class ForwardLanes {
 public:
  // `session`: null, or the lane.
  void Add(std::shared_ptr<RequestFlow> flow, const SessionPtr& session,
           ForwardSubmission submission);

  // Once, after the last Add.
  void Submit();

 private:
  class Lane;
  struct Entry {
    std::shared_ptr<RequestFlow> flow;
    ForwardSubmission submission;
  };

  std::vector<Entry> front_;
  std::map<const Session*, std::shared_ptr<Lane>> lanes_;
};

}  // namespace attn
