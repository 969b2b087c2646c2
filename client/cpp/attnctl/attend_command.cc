#include "client/cpp/attnctl/attend_command.h"

#include <cstdio>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cpp/attnctl/axis_names.h"
#include "client/cpp/attnctl/call_trace.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/explorer_page.h"
#include "client/cpp/attnctl/flag_types.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/json_text.h"
#include "client/cpp/attnctl/npy.h"
#include "client/cpp/attnctl/partial_file.h"
#include "client/cpp/attnctl/top_view.h"

namespace attn::attnctl {
namespace {

using client::AttendResponse;
using client::Tensor;

std::string TensorText(const Tensor& tensor) {
  return absl::StrCat(std::string(client::DTypeName(tensor.dtype())), " ",
                      client::ShapeText(tensor.shape()));
}

std::string Summary(const AttendResponse& response) {
  const client::Timing& timing = response.timing;
  std::string text =
      absl::StrCat("output ", TensorText(response.output), ", server ",
                   absl::FormatDuration(timing.total), " (queue ",
                   absl::FormatDuration(timing.queue), ", compute ",
                   absl::FormatDuration(timing.compute), "), batch of ",
                   timing.batch_size, "\n");
  if (response.lse.present()) {
    absl::StrAppend(&text, "lse ", TensorText(response.lse), "\n");
  }
  if (response.weights.present()) {
    absl::StrAppend(&text, "weights ", TensorText(response.weights), "\n");
  }
  if (response.top.indices.present()) {
    absl::StrAppend(&text, "top ", TensorText(response.top.indices), "\n");
  }
  if (response.session_length > 0) {
    absl::StrAppend(&text, "session length ", response.session_length, "\n");
  }
  return text;
}

// `more`: further members, each with a comma before it.
std::string JsonSummary(const AttendResponse& response,
                        const std::string& more) {
  const client::Timing& timing = response.timing;
  return absl::StrFormat(
      "{\"request_id\": %s, \"output_dtype\": \"%s\", \"output_shape\": %s, "
      "\"queue_ns\": %d, \"compute_ns\": %d, \"total_ns\": %d, "
      "\"batch_size\": %d, \"session_length\": %d%s}\n",
      JsonString(response.request_id),
      std::string(client::DTypeName(response.output.dtype())),
      client::ShapeText(response.output.shape()),
      absl::ToInt64Nanoseconds(timing.queue),
      absl::ToInt64Nanoseconds(timing.compute),
      absl::ToInt64Nanoseconds(timing.total), timing.batch_size,
      response.session_length, more);
}

uint64_t SystemRandom() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

absl::Status Save(const std::string& path, const Tensor& tensor) {
  return path.empty() ? absl::OkStatus() : WriteNpy(path, tensor);
}

absl::Status SaveAll(const AttendFlags& flags, const AttendResponse& response) {
  absl::Status status = Save(flags.out, response.output);
  status.Update(Save(flags.lse_out, response.lse));
  status.Update(Save(flags.weights_out, response.weights));
  if (!flags.top_out.empty()) {
    status.Update(Save(flags.top_out + ".indices.npy", response.top.indices));
    status.Update(
        Save(flags.top_out + ".probabilities.npy", response.top.probabilities));
  }
  return status;
}

absl::Status ReadTokensInto(const std::string& path,
                            std::vector<std::string>& tokens) {
  if (path.empty()) {
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<std::string>> read = ReadTokens(path);
  if (!read.ok()) {
    return read.status();
  }
  tokens = *std::move(read);
  return absl::OkStatus();
}

absl::StatusOr<WeightsViewOptions> ViewOptions(const AttendFlags& flags) {
  WeightsViewOptions options = flags.view;
  absl::Status status = ReadTokensInto(flags.tokens_path, options.tokens.keys);
  status.Update(
      ReadTokensInto(flags.query_tokens_path, options.tokens.queries));
  if (!status.ok()) {
    return status;
  }
  return options;
}

absl::Status SavePage(const std::string& path, const Tensor& weights,
                      const WeightsViewOptions& options) {
  if (path.empty()) {
    return absl::OkStatus();
  }
  const absl::StatusOr<std::string> page = RenderExplorer(weights, options);
  return page.ok() ? WriteText(path, *page) : page.status();
}

absl::Status Print(const absl::StatusOr<std::string>& text) {
  if (text.ok()) {
    std::fputs(text->c_str(), stdout);
  }
  return text.status();
}

// What is left to read: files and JSON are for programs.
bool ShowsTop(const AttendFlags& flags) {
  return flags.request.output.top_k > 0 && flags.top_out.empty() && !flags.json;
}

absl::Status ShowViews(const AttendFlags& flags,
                       const AttendResponse& response) {
  const absl::StatusOr<WeightsViewOptions> options = ViewOptions(flags);
  absl::Status status = options.status();
  if (status.ok() && flags.show_weights) {
    status.Update(Print(
        RenderWeights(response.weights, *options, DetectStyle(flags.color))));
  }
  if (status.ok()) {
    status.Update(SavePage(flags.html, response.weights, *options));
  }
  if (status.ok() && ShowsTop(flags)) {
    status.Update(Print(RenderTop(response.top, *options)));
  }
  return status;
}

int RunAttend(const AttendFlags& flags, const GlobalOptions& globals) {
  const absl::StatusOr<client::AttendRequest> request = LoadRequest(flags);
  if (!request.ok()) {
    return PrintUsageError(request.status());
  }
  const std::unique_ptr<client::Client> connected = Connect(globals);
  if (connected == nullptr) {
    return kExitUsage;
  }
  return SendAndShow(flags, *request, *connected);
}

}  // namespace

int SendAndShow(const AttendFlags& flags, const client::AttendRequest& request,
                client::Client& connected) {
  return SendAndShow(flags, [&](const client::CallOptions& options) {
    return connected.Attend(request, options);
  });
}

int SendAndShow(const AttendFlags& flags, const AnswerCall& call) {
  client::CallOptions options;
  options.deadline = flags.deadline;
  CallTrace trace(SystemRandom);
  if (flags.trace) {
    trace.AddTo(options);
  }
  const absl::StatusOr<AttendResponse> response = call(options);
  if (!response.ok()) {
    if (flags.trace) {
      std::fputs(trace.Text().c_str(), stderr);
    }
    return PrintCallError(response.status());
  }
  absl::Status shown = SaveAll(flags, *response);
  shown.Update(ShowViews(flags, *response));
  if (!shown.ok()) {
    return PrintUsageError(shown);
  }
  const std::string text =
      flags.json
          ? JsonSummary(*response, flags.trace ? trace.JsonMembers() : "")
          : Summary(*response) + (flags.trace ? trace.Text() : "");
  std::fputs(text.c_str(), stdout);
  return kExitOk;
}

void AddAttendCommand(CLI::App& app, const GlobalOptions& globals,
                      Action& action) {
  CLI::App* command = app.add_subcommand(
      "attend", "Compute attention for .npy files, see what it attends to");
  auto flags = std::make_shared<AttendFlags>();
  AddAttendFlags(*command, *flags);
  command->callback([flags, &globals, &action] {
    action = [flags, &globals] { return RunAttend(*flags, globals); };
  });
}

}  // namespace attn::attnctl
