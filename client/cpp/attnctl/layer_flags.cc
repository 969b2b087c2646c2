#include "client/cpp/attnctl/layer_flags.h"

#include "client/cpp/attnctl/enum_flags.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/output_flag.h"

namespace attn::attnctl {
namespace {

using client::DType;
using client::ForwardRequest;
using client::WeightFormat;

void AddName(CLI::App& app, std::string& name) {
  app.add_option("name", name, "Layer, as MODEL/INDEX")
      ->required()
      ->type_name("NAME");
}

void AddInputFlags(CLI::App& app, LayerForwardFlags& flags) {
  ForwardRequest& request = flags.request;
  app.add_option("--hidden", flags.hidden,
                 "Hidden states [B, q_len, hidden_dim], .npy")
      ->required();
  app.add_option("--context", flags.context,
                 "Where keys and values come from [B, kv_len, hidden_dim], "
                 ".npy (default: from --hidden)");
  AddMaskFlag(app, flags.answer);
  AddEnumFlag<DType>(
      app, "--input-dtype", flags.answer.input_dtype,
      {{"f32", DType::kF32}, {"f16", DType::kF16}, {"bf16", DType::kBf16}},
      "Convert hidden and context before they are sent");
  AddListFlag(app, "--kv-lengths", request.kv_lengths,
              "Valid keys of each sequence: 5,3,...");
  AddCausalFlag(app, request.causal);
  app.add_option("--causal-offset", request.causal_offset,
                 "Position of row 0; overrides the mode's");
  AddListFlag(app, "--positions", request.positions,
              "Position of each row, for the layer's rope");
}

void AddSessionFlags(CLI::App& app, client::SessionRef& session) {
  app.add_option("--session-id,--session", session.session_id,
                 "Append keys and values to this session, attend to all of it");
  app.add_option("--session-layer", session.layer,
                 "Layer of the session (default 0)");
  app.add_option("--expected-length", session.expected_length,
                 "Tokens in the session's layer before this call; makes it "
                 "repeatable");
}

}  // namespace

void AddLayerListFlags(CLI::App& app, LayerListFlags& flags) {
  AddJsonFlags(app, flags.json);
}

void AddLayerShowFlags(CLI::App& app, LayerShowFlags& flags) {
  AddName(app, flags.name);
  AddJsonFlags(app, flags.json);
}

void AddLayerLoadFlags(CLI::App& app, LayerLoadFlags& flags) {
  AddName(app, flags.name);
  AddEnumFlag<WeightFormat>(
      app, "--weights", flags.weights,
      {{"f32", WeightFormat::kF32},
       {"f16", WeightFormat::kF16},
       {"bf16", WeightFormat::kBf16},
       {"int8", WeightFormat::kInt8}},
      "Form in which weights are kept (default: the server's)");
  AddJsonFlags(app, flags.json);
}

void AddLayerUnloadFlags(CLI::App& app, LayerUnloadFlags& flags) {
  app.add_option("names", flags.names, "Layers, as MODEL/INDEX")
      ->required()
      ->type_name("NAME");
}

void AddLayerForwardFlags(CLI::App& app, LayerForwardFlags& flags) {
  AddName(app, flags.request.layer);
  AddInputFlags(app, flags);
  AddAnswerFlags(app, flags.answer);
  AddSessionFlags(app, flags.answer.session);
}

absl::StatusOr<ForwardRequest> LoadForward(const LayerForwardFlags& flags) {
  // What both kinds of request have comes by way of the one of attention.
  const absl::StatusOr<client::AttendRequest> answer =
      LoadRequest(flags.answer);
  absl::Status status = answer.status();
  ForwardRequest request = flags.request;
  status.Update(
      LoadTensor(flags.hidden, flags.answer.input_dtype, request.hidden));
  status.Update(
      LoadTensor(flags.context, flags.answer.input_dtype, request.context));
  if (!status.ok()) {
    return status;
  }
  request.request_id = answer->request_id;
  request.attn_mask = answer->attn_mask;
  request.output = answer->output;
  request.session = answer->session;
  request.priority = answer->priority;
  return request;
}

}  // namespace attn::attnctl
