#include <memory>
#include <string>
#include <vector>

#include "tests/bench/instructions/workload.h"
#include "tests/bench/parts/wire_messages.h"

namespace attn::bench {
Workload CodecWorkload() {
  struct Messages {
    const std::string step = DecodeStepRequest();
    const std::string large = LargeRequest();
    std::vector<std::byte> target{large.size()};
  };
  const auto messages = std::make_shared<Messages>();
  return [messages] {
    for (int i = 0; i < 1000; ++i) {
      DecodeInto(Fragments(messages->step), messages->target);
    }
    DecodeInto(Fragments(messages->large), messages->target);
  };
}

}  // namespace attn::bench
