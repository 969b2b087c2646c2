#include "client/cpp/split_context.h"

#include <algorithm>
#include <future>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cpp/status_prefix.h"
#include "client/cpp/tensor_slice.h"

namespace attn::client {
namespace {

using Pending = std::future<absl::StatusOr<AttendResponse>>;

// A key or value of an append, or a query: [1, heads, tokens, dim].
absl::Status CheckTokens(const char* field, const Tensor& tensor) {
  if (tensor.shape().size() != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, " must be [1, heads, tokens, dim]; got ",
                     ShapeText(tensor.shape())));
  }
  const absl::Status whole = tensor.Check();
  return whole.ok() ? whole
                    : absl::InvalidArgumentError(
                          absl::StrCat(field, ": ", whole.message()));
}

absl::Status CheckAppend(const Tensor& key, const Tensor& value) {
  absl::Status status = CheckTokens("key", key);
  status.Update(CheckTokens("value", value));
  if (status.ok() && key.shape()[2] != value.shape()[2]) {
    return absl::InvalidArgumentError(
        absl::StrCat("value.shape[2] must equal key.shape[2]; got ",
                     value.shape()[2], " vs ", key.shape()[2]));
  }
  return status;
}

// Name of a field that no part could answer for; "" if there is none.
std::string ForeignField(const AttendRequest& request) {
  const std::pair<const char*, bool> fields[] = {
      {"key", request.key.present()},
      {"value", request.value.present()},
      {"kv_lengths", !request.kv_lengths.empty()},
      {"session", request.session.has_value()},
      {"output.weights", request.output.weights != Weights::kNone},
      {"output.top_k", request.output.top_k != 0},
      {"output.into", request.output.into.present()},
      {"layout", request.layout != Layout::kUnspecified &&
                     request.layout != Layout::kBhsd},
  };
  for (const auto& [name, is_set] : fields) {
    if (is_set) {
      return name;
    }
  }
  return "";
}

absl::Status CheckMask(const Tensor& mask, uint64_t length) {
  if (!mask.present() ||
      (!mask.shape().empty() &&
       (mask.shape().back() == 1 ||
        mask.shape().back() == static_cast<int64_t>(length)))) {
    return mask.present() ? mask.Check() : absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("attn_mask must have a last axis of 1 or ", length, "; got ",
                   ShapeText(mask.shape())));
}

absl::Status CheckAttend(const AttendRequest& request, uint64_t length) {
  if (const std::string field = ForeignField(request); !field.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("a split context has no ", field));
  }
  if (request.params.causal == Causal::kTopLeft) {
    return absl::InvalidArgumentError(
        "params.causal must be kBottomRight or kNone; got kTopLeft");
  }
  absl::Status status = CheckTokens("query", request.query);
  status.Update(CheckMask(request.attn_mask, length));
  return status;
}

// Place of query row 0 in the whole.
int64_t OffsetOf(const AttendRequest& request, uint64_t length) {
  if (request.params.causal_offset.has_value()) {
    return *request.params.causal_offset;
  }
  const auto end = static_cast<int64_t>(length);
  return request.params.causal == Causal::kBottomRight
             ? end - request.query.shape()[2]
             : end;
}

// `offset` of a part that begins at `begin`; every offset is allowed, so that
// the smallest ones stay where they are: they see nothing.
int64_t Shifted(int64_t offset, uint64_t begin) {
  const auto by = static_cast<int64_t>(begin);
  return offset < std::numeric_limits<int64_t>::min() + by
             ? std::numeric_limits<int64_t>::min()
             : offset - by;
}

std::vector<int64_t> Counted(int64_t first, int64_t count) {
  std::vector<int64_t> places;
  for (int64_t i = 0; i < count; ++i) {
    places.push_back(first + i);
  }
  return places;
}

// That of keys [begin, end) of an append, which lie from `place` on.
std::optional<RopeParams> RopeOfKeys(const std::optional<RopeParams>& rope,
                                     int64_t begin, int64_t end,
                                     uint64_t place) {
  std::optional<RopeParams> part = rope;
  if (part.has_value()) {
    const auto count = static_cast<int64_t>(rope->key_positions.size());
    part->key_positions =
        count == 0 ? Counted(static_cast<int64_t>(place), end - begin)
                   : std::vector<int64_t>(
                         rope->key_positions.begin() + std::min(begin, count),
                         rope->key_positions.begin() + std::min(end, count));
    part->positions.clear();
  }
  return part;
}

// What every part is asked, but for what depends on its tokens.
AttendRequest WithoutPlace(const AttendRequest& request, int64_t offset) {
  AttendRequest common = request;
  common.output.return_lse = true;
  common.params.sinks.clear();
  if (common.params.rope.has_value() && common.params.rope->positions.empty()) {
    common.params.rope->positions = Counted(offset, request.query.shape()[2]);
  }
  return common;
}

Pending Send(Client& client, const AttendRequest& request,
             const CallOptions& options) {
  auto promise =
      std::make_shared<std::promise<absl::StatusOr<AttendResponse>>>();
  Pending pending = promise->get_future();
  client.AttendAsync(
      request,
      [promise](absl::StatusOr<AttendResponse> response) {
        promise->set_value(std::move(response));
      },
      options);
  return pending;
}

}  // namespace

absl::StatusOr<std::unique_ptr<SplitContext>> SplitContext::Create(
    absl::Span<Client* const> clients, uint64_t part_length,
    const SessionSpec& spec, const std::string& session_id) {
  if (clients.empty() || part_length == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("at least one client and a part_length of 1 are needed; "
                     "got ",
                     clients.size(), " and ", part_length));
  }
  if (spec.window != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("spec.window must be 0: a part of the context does not "
                     "know the newest tokens; got ",
                     spec.window));
  }
  std::unique_ptr<SplitContext> context(new SplitContext(part_length));
  absl::Status status = context->CreateParts(clients, spec, session_id);
  if (!status.ok()) {
    return status;
  }
  return context;
}

absl::Status SplitContext::CreateParts(absl::Span<Client* const> clients,
                                       const SessionSpec& spec,
                                       const std::string& session_id) {
  for (size_t n = 0; n < clients.size(); ++n) {
    const std::string id =
        session_id.empty() ? "" : absl::StrCat(session_id, "-", n);
    const absl::StatusOr<Session> session = clients[n]->CreateSession(spec, id);
    if (!session.ok()) {
      return Prefixed(absl::StrCat("part ", n), session.status());
    }
    parts_.push_back({clients[n], session->session_id, n * part_length_,
                      std::vector<uint64_t>(spec.num_layers, 0)});
  }
  return absl::OkStatus();
}

SplitContext::~SplitContext() {
  for (const Part& part : parts_) {
    static_cast<void>(part.client->DeleteSession(part.session_id));
  }
}

std::vector<std::string> SplitContext::session_ids() const {
  std::vector<std::string> ids;
  for (const Part& part : parts_) {
    ids.push_back(part.session_id);
  }
  return ids;
}

uint64_t SplitContext::length(uint32_t layer) const {
  uint64_t sum = 0;
  for (const Part& part : parts_) {
    sum += part.lengths[layer];
  }
  return sum;
}

absl::Status SplitContext::CheckLayer(uint32_t layer) const {
  const size_t layers = parts_.front().lengths.size();
  if (layer < layers) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "layer must be less than num_layers; got ", layer, " vs ", layers));
}

size_t SplitContext::TailPart(uint64_t layer_length) const {
  return std::min<uint64_t>(layer_length / part_length_, parts_.size() - 1);
}

uint64_t SplitContext::Room(size_t part, uint64_t layer_length) const {
  return part + 1 == parts_.size()
             ? std::numeric_limits<int64_t>::max()
             : parts_[part].begin + part_length_ - layer_length;
}

absl::Status SplitContext::Describe(const Part& part,
                                    const absl::Status& status) const {
  return Prefixed(absl::StrCat("part ", &part - parts_.data(),
                               " of the context, session ", part.session_id),
                  status);
}

absl::StatusOr<uint64_t> SplitContext::Append(
    const Tensor& key, const Tensor& value, uint32_t layer,
    const std::optional<RopeParams>& rope, const CallOptions& options) {
  absl::Status status = CheckLayer(layer);
  status.Update(CheckAppend(key, value));
  if (!status.ok()) {
    return status;
  }
  uint64_t at = length(layer);
  for (int64_t sent = 0; sent < key.shape()[2];) {
    const size_t n = TailPart(at);
    Part& part = parts_[n];
    const int64_t end = sent + static_cast<int64_t>(std::min<uint64_t>(
                                   key.shape()[2] - sent, Room(n, at)));
    const absl::StatusOr<uint64_t> appended = part.client->AppendKv(
        {.session = {part.session_id, layer, part.lengths[layer]},
         .key = Slice(key, 2, sent, end),
         .value = Slice(value, 2, sent, end),
         .rope = RopeOfKeys(rope, sent, end, at)},
        options);
    if (!appended.ok()) {
      return Describe(part, appended.status());
    }
    part.lengths[layer] = *appended;
    at += end - sent;
    sent = end;
  }
  return at;
}

absl::StatusOr<PartialAnswer> SplitContext::Attend(const AttendRequest& request,
                                                   uint32_t layer,
                                                   const CallOptions& options) {
  absl::Status status = CheckLayer(layer);
  if (status.ok()) {
    status = CheckAttend(request, length(layer));
  }
  if (!status.ok()) {
    return status;
  }
  const int64_t offset = OffsetOf(request, length(layer));
  AttendRequest asked = WithoutPlace(request, offset);
  std::vector<std::pair<const Part*, Pending>> pending;
  for (const Part& part : parts_) {
    const auto count = static_cast<int64_t>(part.lengths[layer]);
    if (count == 0 && part.begin > 0) {
      continue;  // The first part answers for an empty layer.
    }
    asked.session = SessionRef{part.session_id, layer, {}};
    asked.params.causal_offset = Shifted(offset, part.begin);
    if (const Tensor& mask = request.attn_mask;
        mask.present() && mask.shape().back() != 1) {
      const auto begin = static_cast<int64_t>(part.begin);
      asked.attn_mask =
          Slice(mask, mask.shape().size() - 1, begin, begin + count);
    }
    pending.emplace_back(&part, Send(*part.client, asked, options));
  }
  std::vector<PartialAnswer> answers;
  for (auto& [part, answer] : pending) {
    const absl::StatusOr<AttendResponse> response = answer.get();
    status.Update(Describe(*part, response.status()));
    if (response.ok()) {
      answers.push_back({response->output, response->lse});
    }
  }
  return status.ok() ? Merge(answers, Layout::kBhsd, request.params.sinks)
                     : status;
}

}  // namespace attn::client
