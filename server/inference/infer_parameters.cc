#include "server/inference/infer_parameters.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "server/inference/parameter_value.h"
#include "server/inference/shown_text.h"

namespace attn {
namespace {

using inference::InferParameter;

constexpr int64_t kMaxUint32 = std::numeric_limits<uint32_t>::max();

// A parameter on its way into the request.
struct Target {
  std::string_view name;
  const InferParameter& value;
  DecodedRequest& decoded;
  InferOptions& options;

  AttentionParams& params() const { return decoded.spec.params; }
  OutputOptions& output() const { return decoded.spec.output; }
  RopeParams& rope() const {
    if (!params().rope.has_value()) params().rope.emplace();
    return *params().rope;
  }
};

absl::Status ReadScale(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.params().scale, ToFloat(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadSoftcap(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.params().softcap, ToFloat(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadCausal(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(
      const int32_t mode,
      ToEnum(to.name, to.value,
             {{"none", 0}, {"top_left", 1}, {"bottom_right", 2}}));
  to.params().causal = static_cast<CausalMode>(mode);
  to.options.has_causal = true;
  return absl::OkStatus();
}

absl::Status ReadCausalOffset(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.params().causal_offset, ToInt64(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadLeftWindow(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.params().left_window, ToInt64(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadRightWindow(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.params().right_window, ToInt64(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadAlibiSlopes(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.params().alibi_slopes, ToFloats(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadSinks(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.params().sinks, ToFloats(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadLayout(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(
      const int32_t layout,
      ToEnum(to.name, to.value, {{"bhsd", 1}, {"bshd", 2}, {"bse", 3}}));
  to.decoded.spec.layout = static_cast<Layout>(layout);
  return absl::OkStatus();
}

absl::Status ReadNumQHeads(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.decoded.spec.num_q_heads,
                        ToCount(to.name, to.value, kMaxUint32));
  return absl::OkStatus();
}

absl::Status ReadNumKvHeads(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.decoded.spec.num_kv_heads,
                        ToCount(to.name, to.value, kMaxUint32));
  return absl::OkStatus();
}

absl::Status ReadRopeBase(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.rope().base, ToFloat(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadRopeRotaryDim(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.rope().rotary_dim,
                        ToCount(to.name, to.value, kMaxUint32));
  return absl::OkStatus();
}

absl::Status ReadRopeInterleaved(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.rope().is_interleaved, ToBool(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadRopeScalingFactor(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.rope().scaling_factor, ToFloat(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadRopePositions(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.rope().positions, ToInt64s(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadRopeKeyPositions(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.rope().key_positions, ToInt64s(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadPositions(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.options.positions, ToInt64s(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadOutputDtype(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(
      const int32_t dtype,
      ToEnum(to.name, to.value,
             {{"fp32", static_cast<int32_t>(DataType::kF32)},
              {"fp16", static_cast<int32_t>(DataType::kF16)},
              {"bf16", static_cast<int32_t>(DataType::kBF16)},
              {"fp64", static_cast<int32_t>(DataType::kF64)}}));
  to.output().dtype = static_cast<DataType>(dtype);
  return absl::OkStatus();
}

absl::Status ReadWeights(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(const int32_t mode, ToEnum(to.name, to.value,
                                                   {{"raw_scores", 1},
                                                    {"softcapped", 2},
                                                    {"biased", 3},
                                                    {"probabilities", 4}}));
  to.output().weights = static_cast<WeightsMode>(mode);
  to.options.has_weights = true;
  return absl::OkStatus();
}

absl::Status ReadTopK(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.output().top_k,
                        ToCount(to.name, to.value, kMaxUint32));
  to.options.has_top_k = to.output().top_k > 0;
  return absl::OkStatus();
}

// Triton's levels: 1 is the most urgent, 0 asks for the default.
absl::Status ReadPriority(const Target& to) {
  constexpr std::array kPriorities{Priority::kUnspecified, Priority::kHigh,
                                   Priority::kNormal, Priority::kLow};
  ATTN_ASSIGN_OR_RETURN(const int64_t level, ToCount(to.name, to.value, 3));
  to.decoded.priority = kPriorities[static_cast<size_t>(level)];
  return absl::OkStatus();
}

absl::Status ReadTimeout(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(const int64_t timeout, ToCount(to.name, to.value));
  // Sums with it must not wrap.
  constexpr std::chrono::microseconds kFar = std::chrono::hours(24 * 365);
  to.decoded.timeout = std::min(std::chrono::microseconds(timeout), kFar);
  return absl::OkStatus();
}

// Says that a stream shall end its answers with a marker where a request may
// have several; here each has one.
absl::Status ReadEmptyFinalResponse(const Target& to) {
  return ToBool(to.name, to.value).status();
}

absl::Status ReadSequenceId(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.options.sequence.session_id,
                        ToId(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadSequenceStart(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.options.starts_sequence, ToBool(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadSequenceEnd(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.options.sequence.ends, ToBool(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadLayer(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.options.sequence.layer,
                        ToCount(to.name, to.value, kMaxUint32));
  return absl::OkStatus();
}

absl::Status ReadExpectedLength(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(const int64_t length, ToCount(to.name, to.value));
  to.options.sequence.expected_length = ToLength(static_cast<uint64_t>(length));
  return absl::OkStatus();
}

absl::Status ReadNumLayers(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.options.session.num_layers,
                        ToCount(to.name, to.value, kMaxUint32));
  return absl::OkStatus();
}

absl::Status ReadKvDtype(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(
      const int32_t dtype,
      ToEnum(to.name, to.value,
             {{"fp32", static_cast<int32_t>(KvDtype::kF32)},
              {"bf16", static_cast<int32_t>(KvDtype::kBF16)},
              {"fp16", static_cast<int32_t>(KvDtype::kF16)},
              {"int8", static_cast<int32_t>(KvDtype::kInt8)}}));
  to.options.session.kv_dtype = static_cast<KvDtype>(dtype);
  return absl::OkStatus();
}

absl::Status ReadMaxLength(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.options.session.max_length,
                        ToCount(to.name, to.value));
  return absl::OkStatus();
}

absl::Status ReadWindow(const Target& to) {
  ATTN_ASSIGN_OR_RETURN(to.options.session.window, ToCount(to.name, to.value));
  return absl::OkStatus();
}

// Where a parameter means something.
enum class Scope {
  kAnywhere,
  kAttention,
  kSequence,
  kSequenceStep,   // Where a sequence is named.
  kSequenceStart,  // Where it begins.
  kLayer
};

// A layer has its options from its model.
bool IsIn(Scope scope, InferModel model) {
  switch (scope) {
    case Scope::kAnywhere:
      return true;
    case Scope::kAttention:
      return model != InferModel::kLayer;
    case Scope::kSequence:
    case Scope::kSequenceStep:
    case Scope::kSequenceStart:
      return model != InferModel::kAttention;
    case Scope::kLayer:
      return model == InferModel::kLayer;
  }
  return false;
}

struct Parameter {
  std::string_view name;
  Scope scope;
  absl::Status (*read)(const Target&);
};

constexpr Parameter kParameters[] = {
    {"scale", Scope::kAttention, ReadScale},
    {"softcap", Scope::kAttention, ReadSoftcap},
    {"causal", Scope::kAnywhere, ReadCausal},
    {"causal_offset", Scope::kAnywhere, ReadCausalOffset},
    {"left_window", Scope::kAttention, ReadLeftWindow},
    {"right_window", Scope::kAttention, ReadRightWindow},
    {"alibi_slopes", Scope::kAttention, ReadAlibiSlopes},
    {"sinks", Scope::kAttention, ReadSinks},
    {"layout", Scope::kAttention, ReadLayout},
    {"num_q_heads", Scope::kAttention, ReadNumQHeads},
    {"num_kv_heads", Scope::kAttention, ReadNumKvHeads},
    {"rope_base", Scope::kAttention, ReadRopeBase},
    {"rope_rotary_dim", Scope::kAttention, ReadRopeRotaryDim},
    {"rope_interleaved", Scope::kAttention, ReadRopeInterleaved},
    {"rope_scaling_factor", Scope::kAttention, ReadRopeScalingFactor},
    {"rope_positions", Scope::kAttention, ReadRopePositions},
    {"rope_key_positions", Scope::kAttention, ReadRopeKeyPositions},
    {"positions", Scope::kLayer, ReadPositions},
    {"output_dtype", Scope::kAnywhere, ReadOutputDtype},
    {"weights", Scope::kAnywhere, ReadWeights},
    {"top_k", Scope::kAnywhere, ReadTopK},
    {"priority", Scope::kAnywhere, ReadPriority},
    {"timeout", Scope::kAnywhere, ReadTimeout},
    {"triton_enable_empty_final_response", Scope::kAnywhere,
     ReadEmptyFinalResponse},
    {"sequence_id", Scope::kSequence, ReadSequenceId},
    {"sequence_start", Scope::kSequence, ReadSequenceStart},
    {"sequence_end", Scope::kSequence, ReadSequenceEnd},
    {"layer", Scope::kSequenceStep, ReadLayer},
    {"expected_length", Scope::kSequenceStep, ReadExpectedLength},
    {"num_layers", Scope::kSequenceStart, ReadNumLayers},
    {"kv_dtype", Scope::kSequenceStart, ReadKvDtype},
    {"max_length", Scope::kSequenceStart, ReadMaxLength},
    {"window", Scope::kSequenceStart, ReadWindow},
};

const Parameter* Find(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kParameters), std::end(kParameters),
                   [name](const Parameter& p) { return p.name == name; });
  return found == std::end(kParameters) ? nullptr : found;
}

absl::Status ReadParameter(const Target& to, InferModel model) {
  const Parameter* parameter = Find(to.name);
  if (parameter == nullptr) {
    return InvalidParameter(ShownText(to.name),
                            "must be a parameter of the model",
                            Shown(to.value));
  }
  if (!IsIn(parameter->scope, model)) {
    return InvalidParameter(to.name,
                            absl::StrCat("must be absent with model ",
                                         std::string(InferModelName(model))),
                            Shown(to.value));
  }
  return parameter->read(to);
}

// The parameter that `scope` needs beside its own; "" where that is there.
std::string_view MissingBeside(Scope scope, const InferOptions& options) {
  if (scope == Scope::kSequenceStep && !options.has_sequence()) {
    return "sequence_id";
  }
  if (scope == Scope::kSequenceStart && !options.starts_sequence) {
    return "sequence_start";
  }
  return "";
}

}  // namespace

absl::Status ReadParameters(const inference::ModelInferRequest& request,
                            InferModel model, DecodedRequest& decoded,
                            InferOptions& options) {
  // Sorted, so that the same request gets the same answer.
  std::map<std::string_view, const InferParameter*> parameters;
  for (const auto& [name, value] : request.parameters()) {
    parameters.emplace(name, &value);
  }
  for (const auto& [name, value] : parameters) {
    ATTN_RETURN_IF_ERROR(
        ReadParameter({name, *value, decoded, options}, model));
  }
  for (const auto& [name, value] : parameters) {
    const std::string_view missing = MissingBeside(Find(name)->scope, options);
    if (!missing.empty()) {
      return InvalidParameter(
          name, absl::StrCat("must come with ", std::string(missing)),
          Shown(*value));
    }
  }
  return absl::OkStatus();
}

}  // namespace attn
