#include "client/cpp/attnctl/enum_flags.h"

#include "client/cpp/attnctl/flag_types.h"

namespace attn::attnctl {

using client::Causal;
using client::DType;
using client::KvDtype;
using client::Layout;
using client::Priority;

namespace {

template <typename Target>
CLI::Option* AddCausal(CLI::App& app, Target& target,
                       const std::string& absent) {
  return AddEnumFlag<Target>(
      app, "--causal", target,
      {{"none", Causal::kNone},
       {"top-left", Causal::kTopLeft},
       {"bottom-right", Causal::kBottomRight}},
      "Which keys a row sees by order (default " + absent + ")");
}

}  // namespace

std::map<std::string, DType> FloatTypes() {
  return {{"f32", DType::kF32},
          {"f16", DType::kF16},
          {"bf16", DType::kBf16},
          {"f64", DType::kF64}};
}

CLI::Option* AddCausalFlag(CLI::App& app, Causal& target) {
  return AddCausal(app, target, "none");
}

CLI::Option* AddCausalFlag(CLI::App& app, std::optional<Causal>& target) {
  return AddCausal(app, target, "as the layer");
}

CLI::Option* AddKvDtypeFlag(CLI::App& app, KvDtype& target) {
  return AddEnumFlag<KvDtype>(
      app, "--kv-dtype", target,
      {{"f32", KvDtype::kF32},
       {"bf16", KvDtype::kBf16},
       {"f16", KvDtype::kF16},
       {"int8", KvDtype::kInt8}},
      "Dtype in which keys and values are kept (default f32)");
}

CLI::Option* AddLayoutFlag(CLI::App& app, Layout& target,
                           const std::string& tensors) {
  return AddEnumFlag<Layout>(
      app, "--layout", target,
      {{"bhsd", Layout::kBhsd}, {"bshd", Layout::kBshd}, {"bse", Layout::kBse}},
      "Axes of " + tensors + " (default bhsd)");
}

CLI::Option* AddPriorityFlag(CLI::App& app, Priority& target) {
  return AddEnumFlag<Priority>(app, "--priority", target,
                               {{"low", Priority::kLow},
                                {"normal", Priority::kNormal},
                                {"high", Priority::kHigh}},
                               "Urgency (default normal)");
}

}  // namespace attn::attnctl
