#include "server/engine_settings.h"

#include "core/base/cpu_topology.h"

namespace attn {

EngineOptions EngineOptionsOf(const ServerConfig& config) {
  EngineOptions options;
  options.num_workers = config.workers > 0 ? config.workers : UsableCpus();
  options.pins_workers = config.pin_workers;
  options.max_spin = config.worker_spin;
  options.admission = {.max_queue_tasks = config.max_queue_tasks,
                       .max_queue_bytes = config.max_queue_bytes,
                       .max_queue_wait = config.max_queue_wait,
                       .num_workers = options.num_workers};
  options.batching.max_batch_tasks = config.max_batch_tasks;
  options.batching.max_batch_delay = config.max_batch_delay;
  // Size classes waste up to a fifth, and replies outlive their place in the
  // queue until they are sent.
  options.max_pool_bytes =
      config.max_queue_bytes + config.max_queue_bytes / 2 +
      2 * (config.max_request_bytes + config.max_reply_bytes);
  return options;
}

}  // namespace attn
