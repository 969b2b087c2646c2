#include "core/layer/model_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/error.h"
#include "core/base/status_macros.h"
#include "core/layer/layer_name.h"

namespace attn {
namespace {

namespace fs = std::filesystem;

// What cannot be searched, as a volume's own lost+found, is no model; `error`
// says why it cannot.
bool IsModel(const fs::path& path, std::error_code& error) {
  return fs::exists(path / "config.json", error);
}
bool IsModel(const fs::path& path) {
  std::error_code ignored;
  return IsModel(path, ignored);
}

absl::Status Bad(const fs::path& path, std::string_view why) {
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   Reason::kBadCheckpoint,
                   absl::StrCat(path.string(), ": ", std::string(why)));
}

absl::StatusOr<fs::path> Canonical(const fs::path& path) {
  std::error_code error;
  fs::path canonical = fs::canonical(path, error);
  if (error) return Bad(path, error.message());
  return canonical;
}

// A model in `root`, which is canonical.
absl::StatusOr<Model> Check(const fs::path& root, const fs::path& path) {
  ATTN_ASSIGN_OR_RETURN(const fs::path canonical, Canonical(path));
  // Files within a model may be links: Hugging Face's own cache is made so.
  if (canonical.parent_path() != root) {
    return Bad(path, "must not be a link out of the folder of layers");
  }
  Model model{path.filename().string(), path.string()};
  if (!IsModelName(model.name)) {
    return Bad(path,
               "a model's folder must be named by 1 to 128 of A-Z, a-z, 0-9, "
               "_, . and -");
  }
  return model;
}

}  // namespace

absl::StatusOr<std::vector<Model>> FindModels(const std::string& folder) {
  ATTN_ASSIGN_OR_RETURN(const fs::path root, Canonical(folder));
  std::vector<Model> models;
  if (IsModel(root)) {
    ATTN_ASSIGN_OR_RETURN(Model model, Check(root.parent_path(), root));
    models.push_back(std::move(model));
    return models;
  }
  std::error_code error;
  for (fs::directory_iterator entry(root, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!IsModel(entry->path())) continue;
    ATTN_ASSIGN_OR_RETURN(Model model, Check(root, entry->path()));
    models.push_back(std::move(model));
  }
  if (error) return Bad(root, error.message());
  std::sort(models.begin(), models.end(),
            [](const Model& a, const Model& b) { return a.name < b.name; });
  return models;
}

absl::StatusOr<Model> FindModel(const std::string& folder,
                                std::string_view name) {
  ATTN_ASSIGN_OR_RETURN(const fs::path root, Canonical(folder));
  if (IsModel(root) && root.filename() == name) {
    return Check(root.parent_path(), root);
  }
  const fs::path path = root / name;
  std::error_code error;
  if (!IsModel(root) && IsModel(path, error)) return Check(root, path);
  if (error) return Bad(path, error.message());
  return MakeError(absl::StatusCode::kNotFound, Reason::kLayerNotFound,
                   absl::StrCat("there is no model ", std::string(name)));
}

absl::Status BadCheckpoint(const std::string& path,
                           const absl::Status& status) {
  const std::string message(status.message());
  return MakeError(
      absl::StatusCode::kFailedPrecondition, Reason::kBadCheckpoint,
      absl::StartsWith(message, path) ? message
                                      : absl::StrCat(path, ": ", message));
}

}  // namespace attn
