#include "client/cpp/attnctl/attend_flags.h"

#include "client/cpp/attnctl/enum_flags.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/output_flag.h"

namespace attn::attnctl {
namespace {

using client::AttendRequest;
using client::AttentionParams;
using client::DType;
using client::Tensor;
using client::Weights;

void AddInputFlags(CLI::App& app, AttendFlags& flags) {
  AttendRequest& request = flags.request;
  app.add_option("--query", flags.query, "Query, .npy")->required();
  app.add_option("--key", flags.key, "Keys, .npy; required without a session");
  app.add_option("--value", flags.value,
                 "Values, .npy; required without a session");
  AddMaskFlag(app, flags);
  AddEnumFlag(app, "--input-dtype", flags.input_dtype, FloatTypes(),
              "Convert query, key and value before they are sent");
  AddLayoutFlag(app, request.layout, "query, key, value and output");
  app.add_option("--num-q-heads", request.num_q_heads,
                 "Query heads; required for --layout bse");
  app.add_option("--num-kv-heads", request.num_kv_heads,
                 "KV heads; required for --layout bse");
  AddListFlag(app, "--kv-lengths", request.kv_lengths,
              "Valid keys of each sequence: 5,3,...");
}

void AddParamFlags(CLI::App& app, AttentionParams& params) {
  app.add_option("--scale", params.scale,
                 "Factor of q . k (default 1/sqrt(head_dim))");
  AddCausalFlag(app, params.causal);
  app.add_option("--causal-offset", params.causal_offset,
                 "Position of query row 0; overrides the mode's");
  app.add_option("--left-window", params.left_window,
                 "Keys a row sees before its position, itself not counted");
  app.add_option("--right-window", params.right_window,
                 "Keys a row sees after its position");
  app.add_option("--softcap", params.softcap,
                 "Bound scores by cap * tanh(s / cap); 0 = off");
  AddListFlag(app, "--alibi-slopes", params.alibi_slopes,
              "One for each query head");
  AddListFlag(app, "--sinks", params.sinks,
              "One more logit in the denominator for each query head");
}

void AddOutputFlags(CLI::App& app, AttendFlags& flags) {
  client::OutputOptions& output = flags.request.output;
  app.add_option("--out", flags.out, "Write the output here, .npy");
  AddEnumFlag(app, "--output-dtype", output.dtype, FloatTypes(),
              "Element type of the output (default: the input's)");
  app.add_flag("--lse", output.return_lse, "Return the log-sum-exp");
  app.add_option("--lse-out", flags.lse_out,
                 "Write the log-sum-exp here, .npy; implies --lse");
  AddEnumFlag<Weights>(app, "--weights", output.weights,
                       {{"none", Weights::kNone},
                        {"raw", Weights::kRawScores},
                        {"softcapped", Weights::kSoftcapped},
                        {"biased", Weights::kBiased},
                        {"probabilities", Weights::kProbabilities}},
                       "Which intermediate to return (default none)");
  app.add_option("--weights-out", flags.weights_out,
                 "Write the weights here, .npy; implies --weights "
                 "probabilities");
  app.add_option("--top-k", output.top_k,
                 "Return the largest probabilities of each row and print them; "
                 "0 = off");
  app.add_option("--top-out", flags.top_out,
                 "Write PREFIX.indices.npy and PREFIX.probabilities.npy "
                 "instead of printing them")
      ->type_name("PREFIX");
  AddJsonFlags(app, flags.json);
}

void AddCallFlags(CLI::App& app, AttendFlags& flags) {
  app.add_option("--request-id", flags.request.request_id,
                 "Echoed, at most 256 bytes");
  AddPriorityFlag(app, flags.request.priority);
  AddDurationFlag(app, "--deadline", flags.deadline,
                  "Deadline of the call (default: --timeout)");
  app.add_flag("--trace", flags.trace,
               "Send a traceparent and print its id with the server's times");
}

void AddSessionFlags(CLI::App& app, AttendFlags& flags) {
  app.add_option("--session-id", flags.session.session_id,
                 "Attend to a KV-cache session; key and value are appended");
  app.add_option("--layer", flags.session.layer, "Layer of the session");
  app.add_option("--expected-length", flags.session.expected_length,
                 "Tokens in the layer before this call; makes it repeatable");
}

void AddViewFlags(CLI::App& app, AttendFlags& flags) {
  app.add_flag("--show-weights", flags.show_weights,
               "Print the probabilities of batch entry 0 as a heat map");
  app.add_option("--html", flags.html,
                 "Write a page to explore the probabilities of batch entry 0 "
                 "in a browser")
      ->type_name("FILE");
  app.add_option("--tokens", flags.tokens_path,
                 "Names of the keys, one token a line, for --show-weights, "
                 "--html and --top-k; the last of them name the query rows, "
                 "unless --query-tokens does")
      ->type_name("FILE");
  app.add_option("--query-tokens", flags.query_tokens_path,
                 "Names of the query rows, one token a line")
      ->type_name("FILE");
  app.add_option("--head", flags.view.head,
                 "Head of the map, and the first one of --html: mean "
                 "(default), all or a number; --top-k has no mean and prints "
                 "all")
      ->type_name("N|all|mean");
  app.add_option("--row", flags.view.row,
                 "Print this row alone, head by head (a token or a number); "
                 "--html begins with it")
      ->type_name("TOKEN");
  app.add_option("--column", flags.view.column,
                 "With --row: also one bar for each head, for this key")
      ->type_name("TOKEN");
  app.add_option("--color", flags.color,
                 "auto (default: on a terminal, unless NO_COLOR is set), "
                 "always or never")
      ->check(CLI::IsMember({"auto", "always", "never"}));
}

bool AsksForSession(const client::SessionRef& session) {
  return !session.session_id.empty() || session.layer != 0 ||
         session.expected_length.has_value();
}

bool ShowsWeights(const AttendFlags& flags) {
  return flags.show_weights || !flags.html.empty();
}

bool NamesAxes(const AttendFlags& flags) {
  return !flags.tokens_path.empty() || !flags.query_tokens_path.empty() ||
         !flags.view.row.empty();
}

absl::Status CheckFlags(const AttendFlags& flags) {
  const bool views = ShowsWeights(flags);
  const Weights weights = flags.request.output.weights;
  if (views && weights != Weights::kNone &&
      weights != Weights::kProbabilities) {
    return absl::InvalidArgumentError(
        "--show-weights and --html show probabilities; leave --weights away");
  }
  if (!views && flags.request.output.top_k == 0 && NamesAxes(flags)) {
    return absl::InvalidArgumentError(
        "--tokens, --query-tokens and --row need --show-weights, --html or "
        "--top-k");
  }
  if (!flags.show_weights && !flags.view.column.empty()) {
    return absl::InvalidArgumentError("--column needs --show-weights");
  }
  if (!flags.view.column.empty() && flags.view.row.empty()) {
    return absl::InvalidArgumentError("--column needs --row");
  }
  if (!flags.top_out.empty() && flags.request.output.top_k == 0) {
    return absl::InvalidArgumentError("--top-out needs --top-k");
  }
  return absl::OkStatus();
}

}  // namespace

void AddAttendFlags(CLI::App& app, AttendFlags& flags) {
  AddInputFlags(app, flags);
  AddParamFlags(app, flags.request.params);
  AddRopeFlags(app, flags.rope);
  AddAnswerFlags(app, flags);
  AddSessionFlags(app, flags);
}

void AddMaskFlag(CLI::App& app, AttendFlags& flags) {
  app.add_option("--mask", flags.mask,
                 "Mask, .npy: bool (true = attend) or float (added)");
}

void AddAnswerFlags(CLI::App& app, AttendFlags& flags) {
  AddOutputFlags(app, flags);
  AddCallFlags(app, flags);
  AddViewFlags(app, flags);
}

absl::StatusOr<AttendRequest> LoadRequest(const AttendFlags& flags) {
  AttendRequest request = flags.request;
  absl::Status status = CheckFlags(flags);
  for (const auto& [path, tensor] :
       {std::pair<const std::string&, Tensor&>{flags.query, request.query},
        {flags.key, request.key},
        {flags.value, request.value}}) {
    status.Update(LoadTensor(path, flags.input_dtype, tensor));
  }
  status.Update(LoadTensor(flags.mask, DType::kUnspecified, request.attn_mask));
  auto rope = LoadRope(flags.rope);
  status.Update(rope.status());
  if (!status.ok()) {
    return status;
  }
  request.params.rope = *std::move(rope);
  if (AsksForSession(flags.session)) {
    request.session = flags.session;
  }
  client::OutputOptions& output = request.output;
  output.return_lse = output.return_lse || !flags.lse_out.empty();
  if (output.weights == Weights::kNone &&
      (ShowsWeights(flags) || !flags.weights_out.empty())) {
    output.weights = Weights::kProbabilities;
  }
  return request;
}

}  // namespace attn::attnctl
