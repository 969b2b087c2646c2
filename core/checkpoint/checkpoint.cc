#include "core/checkpoint/checkpoint.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/status_macros.h"
#include "core/checkpoint/checkpoint_index.h"
#include "core/checkpoint/small_file.h"

namespace attn {
namespace {

// Of config.json; the largest known takes 100 kB.
constexpr int64_t kMaxConfigBytes = int64_t{4} << 20;

absl::Status InFile(const std::string& path, const absl::Status& status) {
  if (status.ok()) return status;
  return {status.code(), absl::StrCat(path, ": ", status.message())};
}

absl::StatusOr<ModelConfig> ReadConfig(const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/config.json");
  ATTN_ASSIGN_OR_RETURN(const std::string text,
                        ReadSmallFile(path, kMaxConfigBytes));
  auto config = ParseModelConfig(text);
  if (!config.ok()) return InFile(path, config.status());
  return config;
}

// What the index says must be true.
absl::Status CheckIndex(const CheckpointIndex& index,
                        const std::map<std::string, SafetensorsFile>& files) {
  for (const auto& [tensor, file] : index) {
    if (files.at(file).Find(tensor) == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(files.at(file).path(), ": the index says that it has ",
                       tensor, "; it has not"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNamedOnce(const std::vector<SafetensorsFile>& files) {
  std::set<std::string_view> names;
  for (const SafetensorsFile& file : files) {
    for (const StoredTensor& tensor : file.tensors()) {
      if (!names.insert(tensor.name).second) {
        return absl::InvalidArgumentError(absl::StrCat(
            file.path(), ": has ", tensor.name, ", and so has another file"));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<SafetensorsFile>> OpenIndexed(
    const std::string& folder) {
  const std::string path =
      absl::StrCat(folder, "/model.safetensors.index.json");
  ATTN_ASSIGN_OR_RETURN(const std::string text,
                        ReadSmallFile(path, kMaxIndexBytes));
  const auto index = ParseCheckpointIndex(text);
  if (!index.ok()) return InFile(path, index.status());
  std::map<std::string, SafetensorsFile> by_name;
  for (const auto& [tensor, file] : *index) {
    if (by_name.count(file) > 0) continue;
    ATTN_ASSIGN_OR_RETURN(
        SafetensorsFile opened,
        SafetensorsFile::Open(absl::StrCat(folder, "/", file)));
    by_name.emplace(file, std::move(opened));
  }
  ATTN_RETURN_IF_ERROR(CheckIndex(*index, by_name));
  std::vector<SafetensorsFile> files;
  files.reserve(by_name.size());
  for (auto& [name, file] : by_name) files.push_back(std::move(file));
  ATTN_RETURN_IF_ERROR(CheckNamedOnce(files));
  return files;
}

absl::StatusOr<std::vector<SafetensorsFile>> OpenFiles(
    const std::string& folder) {
  auto file = SafetensorsFile::Open(absl::StrCat(folder, "/model.safetensors"));
  if (absl::IsNotFound(file.status())) return OpenIndexed(folder);
  ATTN_RETURN_IF_ERROR(file.status());
  std::vector<SafetensorsFile> files;
  files.push_back(*std::move(file));
  return files;
}

}  // namespace

absl::StatusOr<Checkpoint> Checkpoint::Open(const std::string& folder) {
  ATTN_ASSIGN_OR_RETURN(ModelConfig config, ReadConfig(folder));
  ATTN_ASSIGN_OR_RETURN(std::vector<SafetensorsFile> files, OpenFiles(folder));
  return Checkpoint(folder, std::move(config), std::move(files));
}

bool Checkpoint::Has(std::string_view name) const {
  return std::any_of(files_.begin(), files_.end(), [name](const auto& file) {
    return file.Find(name) != nullptr;
  });
}

absl::StatusOr<CheckpointTensor> Checkpoint::Find(std::string_view name) const {
  for (const SafetensorsFile& file : files_) {
    if (const StoredTensor* stored = file.Find(name)) {
      return CheckpointTensor{.stored = *stored,
                              .bytes = file.BytesOf(*stored)};
    }
  }
  return absl::NotFoundError(
      absl::StrCat(folder_, " has no tensor ", std::string(name)));
}

}  // namespace attn
