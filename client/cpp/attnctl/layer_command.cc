// `attnctl layer`: flags -> one call (for all pages of a list: one each) ->
// text.
#include "client/cpp/attnctl/attend_command.h"
#include "client/cpp/attnctl/command_group.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/layer_flags.h"
#include "client/cpp/attnctl/layer_view.h"

namespace attn::attnctl {
namespace {

using client::Client;
using client::Layer;

int Print(const absl::StatusOr<Layer>& layer, bool json) {
  return PrintAnswer(layer, json ? RenderLayerJson : RenderLayer);
}

int RunList(const LayerListFlags& flags, Client& connected) {
  return PrintAnswer(connected.ListAllLayers(),
                     flags.json ? RenderLayersJson : RenderLayers);
}

int RunShow(const LayerShowFlags& flags, Client& connected) {
  return Print(connected.GetLayer(flags.name), flags.json);
}

int RunLoad(const LayerLoadFlags& flags, Client& connected) {
  return Print(connected.LoadLayer(flags.name, flags.weights), flags.json);
}

int RunUnload(const LayerUnloadFlags& flags, Client& connected) {
  return CallEach(flags.names, [&](const std::string& name) {
    return connected.UnloadLayer(name);
  });
}

int RunForward(const LayerForwardFlags& flags, Client& connected) {
  const absl::StatusOr<client::ForwardRequest> request = LoadForward(flags);
  if (!request.ok()) {
    return PrintUsageError(request.status());
  }
  return SendAndShow(flags.answer, [&](const client::CallOptions& options) {
    return connected.Forward(*request, options);
  });
}

}  // namespace

void AddLayerCommand(CLI::App& app, const GlobalOptions& globals,
                     Action& action) {
  CLI::App* command = app.add_subcommand(
      "layer", "Attention layers of models that the server has loaded");
  command->require_subcommand(1);
  const CommandGroup group = {*command, globals, action};
  AddCommand(group, "list", "List layers", AddLayerListFlags, RunList);
  AddCommand(group, "show", "Show one layer", AddLayerShowFlags, RunShow);
  AddCommand(group, "forward", "Hidden states through a layer",
             AddLayerForwardFlags, RunForward);
  AddCommand(group, "load", "Load a layer of a model in the server's folder",
             AddLayerLoadFlags, RunLoad);
  AddCommand(group, "unload", "Take layers away from new requests",
             AddLayerUnloadFlags, RunUnload);
}

}  // namespace attn::attnctl
