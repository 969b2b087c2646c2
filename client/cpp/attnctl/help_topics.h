// The files of topics/ as they were when attnctl was built (CMakeLists.txt
// makes the definitions).
#pragma once

#include "absl/strings/string_view.h"

namespace attn::attnctl {

extern const absl::string_view kShapesTopic;
extern const absl::string_view kMasksTopic;
extern const absl::string_view kSessionsTopic;
extern const absl::string_view kLayersTopic;
extern const absl::string_view kErrorsTopic;

}  // namespace attn::attnctl
