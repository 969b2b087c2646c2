#include "client/cpp/attnctl/session_snapshot_command.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/partial_file.h"
#include "client/cpp/attnctl/session_view.h"
#include "client/cpp/attnctl/transfer_progress.h"

namespace attn::attnctl {
namespace {

constexpr char kStandardStream[] = "-";

// `sink`, with what went into it added up.
client::SnapshotSink Counted(client::SnapshotSink sink,
                             TransferProgress& progress) {
  return [sink = std::move(sink), &progress](std::string_view bytes) {
    progress.Add(static_cast<int64_t>(bytes.size()));
    return sink(bytes);
  };
}

client::SnapshotSource Counted(client::SnapshotSource source,
                               TransferProgress& progress) {
  return [source = std::move(source), &progress] {
    absl::StatusOr<std::string> bytes = source();
    if (bytes.ok()) {
      progress.Add(static_cast<int64_t>(bytes->size()));
    }
    return bytes;
  };
}

int ExportToStdout(const SessionExportFlags& flags, client::Client& connected) {
  if (isatty(STDOUT_FILENO) == 1) {
    return PrintUsageError(
        absl::InvalidArgumentError("a snapshot is no text for a terminal"));
  }
  TransferProgress progress;
  absl::Status status = connected.ExportSession(
      flags.session_id, Counted(client::WriteTo(std::cout), progress));
  if (status.ok() && !std::cout.flush()) {
    status = absl::DataLossError("stdout takes no more");
  }
  return status.ok() ? kExitOk : PrintCallError(status);
}

absl::StatusOr<int64_t> ExportToFile(const SessionExportFlags& flags,
                                     PartialFile& file,
                                     client::Client& connected) {
  TransferProgress progress;
  absl::Status status = connected.ExportSession(
      flags.session_id,
      Counted([&file](std::string_view bytes) { return file.Write(bytes); },
              progress));
  if (status.ok()) {
    status = file.Commit();
  }
  if (!status.ok()) {
    return status;
  }
  return progress.bytes();
}

std::string RenderExport(const SessionExportFlags& flags, int64_t bytes) {
  return flags.json
             ? absl::StrFormat(
                   "{\"session_id\": %s, \"file\": %s, \"bytes\": %d}\n",
                   JsonString(flags.session_id), JsonString(flags.file), bytes)
             : absl::StrFormat("%s: %d bytes in %s\n", flags.session_id, bytes,
                               flags.file);
}

absl::StatusOr<client::Session> Import(const SessionImportFlags& flags,
                                       std::istream& stream,
                                       client::Client& connected) {
  TransferProgress progress;
  return connected.ImportSession(Counted(client::ReadFrom(stream), progress),
                                 flags.session_id);
}

}  // namespace

int RunSessionExport(const SessionExportFlags& flags,
                     client::Client& connected) {
  if (flags.file == kStandardStream) {
    return ExportToStdout(flags, connected);
  }
  absl::StatusOr<PartialFile> file = PartialFile::Create(flags.file);
  if (!file.ok()) {
    return PrintUsageError(file.status());
  }
  const absl::StatusOr<int64_t> bytes = ExportToFile(flags, *file, connected);
  if (!bytes.ok()) {
    return PrintCallError(bytes.status());
  }
  std::fputs(RenderExport(flags, *bytes).c_str(), stdout);
  return kExitOk;
}

int RunSessionImport(const SessionImportFlags& flags,
                     client::Client& connected) {
  std::ifstream file;
  if (flags.file != kStandardStream) {
    file.open(flags.file, std::ios::binary);
    if (!file) {
      return PrintUsageError(absl::InvalidArgumentError(absl::StrCat(
          "cannot read ", flags.file, ": ", std::strerror(errno))));
    }
  }
  std::istream& stream = flags.file == kStandardStream
                             ? std::cin
                             : static_cast<std::istream&>(file);
  const absl::StatusOr<client::Session> session =
      Import(flags, stream, connected);
  if (!session.ok()) {
    return PrintCallError(session.status());
  }
  std::fputs(
      (flags.json ? RenderSessionJson(*session) : RenderSession(*session))
          .c_str(),
      stdout);
  return kExitOk;
}

}  // namespace attn::attnctl
