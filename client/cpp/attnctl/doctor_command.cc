// `attnctl doctor`: what a server is, and what is wrong with it.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <utility>

#include "client/cpp/attnctl/doctor_facts.h"
#include "client/cpp/attnctl/doctor_report.h"
#include "client/cpp/attnctl/exit_code.h"
#include "client/cpp/attnctl/global_options.h"
#include "client/cpp/attnctl/metrics_scrape.h"
#include "client/cpp/attnctl/output_flag.h"

namespace attn::attnctl {
namespace {

struct DoctorFlags {
  std::string http = kDefaultHttpAddress;
  bool json = false;
};

int RunDoctor(const DoctorFlags& flags, const GlobalOptions& globals) {
  const std::unique_ptr<client::Client> connected = Connect(globals);
  if (connected == nullptr) {
    return kExitUsage;
  }
  DoctorFacts asked;
  asked.address = globals.address;
  asked.http_address = flags.http;
  asked.client_version = ATTN_VERSION;
  asked.token = globals.token;
  const std::vector<Finding> findings =
      Diagnose(GatherFacts(*connected, std::move(asked), globals.timeout));
  const std::string text =
      flags.json ? RenderFindingsJson(findings) : RenderFindings(findings);
  std::fputs(text.c_str(), stdout);
  return IsAnythingWrong(findings) ? kExitFailed : kExitOk;
}

}  // namespace

void AddDoctorCommand(CLI::App& app, const GlobalOptions& globals,
                      Action& action) {
  CLI::App* command = app.add_subcommand(
      "doctor", "Explain what a server is and what is wrong with it");
  command->footer("Exit code 0: nothing is wrong (advice does not count).");
  auto flags = std::make_shared<DoctorFlags>();
  AddHttpFlag(*command, flags->http);
  AddJsonFlags(*command, flags->json);
  command->callback([flags, &globals, &action] {
    action = [flags, &globals] { return RunDoctor(*flags, globals); };
  });
}

}  // namespace attn::attnctl
