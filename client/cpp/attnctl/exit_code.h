// What attnctl's exit code says; --help lists it.
#pragma once

namespace attn::attnctl {

constexpr int kExitOk = 0;      // Done.
constexpr int kExitFailed = 1;  // The server refused, failed or was not there.
constexpr int kExitUsage = 2;   // Flags or files that make no request.

}  // namespace attn::attnctl
