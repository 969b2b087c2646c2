#include <memory>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "server/wire_codec.h"
#include "tests/bench/instructions/workload.h"
#include "tests/bench/parts/wire_messages.h"

namespace attn::bench {
namespace {

void Decode(const std::string& message, std::vector<std::byte>& target) {
  FragmentedBytes bytes = Fragments(message);
  const DecodedRequest decoded = DecodeRequest({bytes}, bytes.whole());
  ATTN_CHECK(decoded.status.ok());
  std::byte* to = target.data();
  for (const ByteRange& place :
       {decoded.places.query, decoded.places.key, decoded.places.value}) {
    bytes.CopyTo(place, to);
    to += place.size;
  }
}

}  // namespace

Workload CodecWorkload() {
  struct Messages {
    const std::string step = DecodeStepRequest();
    const std::string large = LargeRequest();
    std::vector<std::byte> target{large.size()};
  };
  const auto messages = std::make_shared<Messages>();
  return [messages] {
    for (int i = 0; i < 1000; ++i) Decode(messages->step, messages->target);
    Decode(messages->large, messages->target);
  };
}

}  // namespace attn::bench
