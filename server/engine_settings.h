// What the settings say about the engine.
#pragma once

#include "core/engine/engine.h"
#include "server/config.h"

namespace attn {

EngineOptions EngineOptionsOf(const ServerConfig& config);

}  // namespace attn
