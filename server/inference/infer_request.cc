#include "server/inference/infer_request.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "core/attention/validate_tensors.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "inference/grpc_service.pb.h"
#include "server/inference/infer_inputs.h"
#include "server/inference/infer_parameters.h"
#include "server/inference/parameter_value.h"
#include "server/inference/shown_text.h"
#include "server/message_fields.h"
#include "server/message_splitters.h"

namespace attn {
namespace {

using Wire = inference::ModelInferRequest;

// In the order of InferOutput.
using OutputNames = std::array<std::string_view, 5>;
constexpr OutputNames kOutputs{"Y", "LSE", "weights", "top_indices",
                               "top_probabilities"};
constexpr OutputNames kLayerOutputs{"output", "lse", "weights", "top_indices",
                                    "top_probabilities"};

const OutputNames& OutputsOf(InferModel model) {
  return model == InferModel::kLayer ? kLayerOutputs : kOutputs;
}

// Splits one ModelInferRequest.
class InferSplitter {
 public:
  explicit InferSplitter(const FragmentedBytes& message)
      : message_(message), inputs_(message), small_(message, kMaxSmallBytes) {}

  absl::Status Split() {
    return ForEachField(
        message_, message_.whole(),
        [this](const MessageField& field) { return AddField(field); });
  }
  absl::Status ParseSmall(Wire& small) const {
    return small.ParseFromString(small_.text()) ? absl::OkStatus()
                                                : Undecodable();
  }
  const InferInputs& inputs() const { return inputs_; }

 private:
  absl::Status AddField(const MessageField& field) {
    if (field.has_payload && field.number == Wire::kInputsFieldNumber) {
      return inputs_.AddInput(field.payload);
    }
    if (field.has_payload &&
        field.number == Wire::kRawInputContentsFieldNumber) {
      return inputs_.AddRaw(field.payload);
    }
    if (field.number > Wire::kRawInputContentsFieldNumber ||
        small_.Add(field)) {
      return absl::OkStatus();
    }
    return TooManySmallBytes("request");
  }

  const FragmentedBytes& message_;
  InferInputs inputs_;
  SmallFields small_;
};

absl::StatusOr<InferOutput> FindOutput(
    const OutputNames& names, const Wire::InferRequestedOutputTensor& wire,
    int index) {
  const auto* found = std::find(names.begin(), names.end(), wire.name());
  if (found == names.end()) {
    return InvalidOption(
        absl::StrCat("outputs[", index, "].name"),
        absl::StrCat("must be ", std::string(names[0]), ", ",
                     std::string(names[1]),
                     ", weights, top_indices or top_probabilities"),
        ShownText(wire.name()));
  }
  if (!wire.parameters().empty()) {
    const std::string name = wire.parameters().begin()->first;
    const std::string path =
        absl::StrCat("outputs.", wire.name(), ".parameters");
    if (name.rfind("shared_memory_", 0) == 0) {
      return NotServed(path + ".shared_memory_region");
    }
    return InvalidOption(path, "must be empty", ShownText(name));
  }
  return static_cast<InferOutput>(found - names.begin());
}

bool Has(const std::vector<InferOutput>& outputs, InferOutput output) {
  return std::find(outputs.begin(), outputs.end(), output) != outputs.end();
}

absl::StatusOr<std::vector<InferOutput>> NamedOutputs(const OutputNames& names,
                                                      const Wire& wire) {
  std::vector<InferOutput> outputs;
  for (int i = 0; i < wire.outputs_size(); ++i) {
    ATTN_ASSIGN_OR_RETURN(const InferOutput output,
                          FindOutput(names, wire.outputs(i), i));
    if (Has(outputs, output)) {
      return InvalidOption(absl::StrCat("outputs[", i, "].name"),
                           "must not come twice", wire.outputs(i).name());
    }
    outputs.push_back(output);
  }
  return outputs;
}

// Without names: what the models declare, and what parameters speak of.
std::vector<InferOutput> DefaultOutputs(const InferOptions& options) {
  std::vector<InferOutput> outputs{InferOutput::kY, InferOutput::kLse};
  if (options.has_weights) outputs.push_back(InferOutput::kWeights);
  if (options.has_top_k) {
    outputs.push_back(InferOutput::kTopIndices);
    outputs.push_back(InferOutput::kTopProbabilities);
  }
  return outputs;
}

// Outputs and the parameters that shape them go together.
absl::Status ReadOutputs(const Wire& wire, const InferOptions& options,
                         DecodedInfer& decoded) {
  ATTN_ASSIGN_OR_RETURN(decoded.reply.outputs,
                        NamedOutputs(OutputsOf(decoded.reply.model), wire));
  std::vector<InferOutput>& outputs = decoded.reply.outputs;
  if (outputs.empty()) outputs = DefaultOutputs(options);
  const bool has_weights = Has(outputs, InferOutput::kWeights);
  const bool has_top = Has(outputs, InferOutput::kTopIndices) ||
                       Has(outputs, InferOutput::kTopProbabilities);
  if (options.has_weights && !has_weights) {
    return InvalidParameter("weights", "must come with the output weights",
                            "other outputs");
  }
  if (options.has_top_k != has_top) {
    return InvalidParameter(
        "top_k",
        "must come with top_indices or top_probabilities, and they with it",
        options.has_top_k ? "other outputs" : "no top_k");
  }
  OutputOptions& output = decoded.request.spec.output;
  output.return_lse = Has(outputs, InferOutput::kLse);
  if (has_weights && !options.has_weights) {
    output.weights = WeightsMode::kProbabilities;
  }
  return absl::OkStatus();
}

// Heads and dims of a session that shall hold the request's keys and values.
absl::Status ReadHeads(const RequestSpec& spec, KvSpec& session) {
  ATTN_RETURN_IF_ERROR(CheckTensor("key", spec.key));
  ATTN_RETURN_IF_ERROR(CheckTensor("value", spec.value));
  ATTN_ASSIGN_OR_RETURN(const HeadsShape key,
                        ReadShape("key", "num_kv_heads", spec.key, spec.layout,
                                  spec.num_kv_heads));
  ATTN_ASSIGN_OR_RETURN(const HeadsShape value,
                        ReadShape("value", "num_kv_heads", spec.value,
                                  spec.layout, spec.num_kv_heads));
  session.num_kv_heads = key.num_heads;
  session.head_dim = key.dim;
  session.value_head_dim = value.dim;
  return absl::OkStatus();
}

// A request that names no sequence.
absl::Status CheckStateless(const InferOptions& options, InferModel model) {
  std::string_view with;
  if (model == InferModel::kAttentionKv) {
    with = "model attention_kv";
  } else if (options.starts_sequence) {
    with = "sequence_start";
  } else if (options.sequence.ends) {
    with = "sequence_end";
  } else {
    return absl::OkStatus();
  }
  const std::string& id = options.sequence.session_id;
  return InvalidParameter(
      "sequence_id",
      absl::StrCat("must name a sequence with ", std::string(with)),
      id.empty() ? "nothing" : id);
}

// The session that a request begins. A layer has heads and dims of its own.
absl::Status ReadStart(const InferOptions& options, const DecodedInfer& decoded,
                       SessionTarget& sequence) {
  KvSpec& session = sequence.start.emplace(options.session);
  if (session.num_layers == 0) session.num_layers = 1;
  if (decoded.reply.model == InferModel::kLayer) return absl::OkStatus();
  return ReadHeads(decoded.request.spec, session);
}

absl::Status ReadSequence(const InferOptions& options, DecodedInfer& decoded) {
  const InferModel model = decoded.reply.model;
  if (!options.has_sequence()) return CheckStateless(options, model);
  SessionTarget sequence = options.sequence;
  if (options.starts_sequence) {
    ATTN_RETURN_IF_ERROR(ReadStart(options, decoded, sequence));
  }
  (model == InferModel::kLayer ? decoded.forward.session
                               : decoded.request.session) = std::move(sequence);
  return absl::OkStatus();
}

// What the parameters said, which were read as attention's.
void CompleteForward(InferOptions& options, DecodedInfer& decoded) {
  const DecodedRequest& request = decoded.request;
  DecodedForward& forward = decoded.forward;
  forward.layer = decoded.reply.model_name.substr(kLayerPrefix.size());
  const AttentionParams& params = request.spec.params;
  if (options.has_causal) forward.spec.causal = params.causal;
  forward.spec.causal_offset = params.causal_offset;
  forward.spec.positions = std::move(options.positions);
  forward.spec.output = request.spec.output;
  forward.priority = request.priority;
  forward.timeout = request.timeout;
}

absl::Status Decode(const FragmentedBytes& message, DecodedInfer& decoded) {
  InferSplitter splitter(message);
  const absl::Status split = splitter.Split();
  Wire small;
  const absl::Status parsed = splitter.ParseSmall(small);
  decoded.request.request_id = EchoedId(small.id(), parsed.ok());
  const absl::StatusOr<InferModel> model =
      FindInferModel(small.model_name(), small.model_version());
  decoded.has_model = model.ok();
  if (model.ok()) {
    decoded.reply.model = *model;
    decoded.reply.model_name = small.model_name();
  }
  ATTN_RETURN_IF_ERROR(split);
  ATTN_RETURN_IF_ERROR(parsed);
  ATTN_RETURN_IF_ERROR(model.status());
  ATTN_RETURN_IF_ERROR(CheckId("id", small.id()));
  InferOptions options;
  ATTN_RETURN_IF_ERROR(ReadParameters(small, *model, decoded.request, options));
  ATTN_RETURN_IF_ERROR(splitter.inputs().Finish(decoded));
  ATTN_RETURN_IF_ERROR(ReadOutputs(small, options, decoded));
  ATTN_RETURN_IF_ERROR(ReadSequence(options, decoded));
  if (*model == InferModel::kLayer) CompleteForward(options, decoded);
  return absl::OkStatus();
}

}  // namespace

std::string_view OutputName(InferModel model, InferOutput output) {
  return OutputsOf(model)[static_cast<size_t>(output)];
}

DecodedInfer DecodeInfer(const FragmentedBytes& message) {
  DecodedInfer decoded;
  decoded.bytes = message;
  decoded.request.status = Decode(message, decoded);
  decoded.forward.status = decoded.request.status;
  decoded.forward.request_id = decoded.request.request_id;
  return decoded;
}

}  // namespace attn
