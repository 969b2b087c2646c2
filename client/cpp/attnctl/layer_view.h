// Layers as text for humans and as JSON. Pure functions: thread-safe.
#pragma once

#include <string>
#include <vector>

#include "client/cpp/layer.h"

namespace attn::attnctl {

// One fact a line. Ends in a newline, here and below.
std::string RenderLayer(const client::Layer& layer);

// A table with one layer a line; "no layers" for none.
std::string RenderLayers(const std::vector<client::Layer>& layers);

// One line: {"name": ..., "model_type": ..., ...}.
std::string RenderLayerJson(const client::Layer& layer);

// {"layers": [...]}, one layer a line.
std::string RenderLayersJson(const std::vector<client::Layer>& layers);

}  // namespace attn::attnctl
