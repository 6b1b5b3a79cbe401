#include <iostream>

#include "absl/strings/str_format.h"
#include "bench/scenario.h"
#include "cli/commands.h"
#include "cli/exit_code.h"

namespace worldswitch {
namespace {

std::string ModesOf(const Scenario& scenario) {
  if (scenario.kind == ScenarioKind::kHostCall) return "host";
  std::string modes;
  for (const GuestMode mode :
       {GuestMode::kReal, GuestMode::kRing0, GuestMode::kRing3}) {
    if (WhyNotInMode(scenario, mode) != nullptr) continue;
    if (!modes.empty()) modes += " ";
    modes += GuestModeName(mode);
  }
  return modes;
}

int RunList() {
  for (const Scenario& scenario : AllScenarios()) {
    std::cout << absl::StrFormat("%-31s %s\n    %s.\n    proof: %s.\n",
                                 scenario.name, ModesOf(scenario),
                                 scenario.summary, scenario.proof);
    if (scenario.place != ScenarioPlace::kAnywhere) {
      std::cout << "    place: " << ScenarioPlaceName(scenario.place) << ".\n";
    }
    if (scenario.vmexit_test != nullptr) {
      std::cout << "    vmexit: " << scenario.vmexit_test << " (in ring0).\n";
    }
  }
  return kExitOk;
}

}  // namespace

void AddListCommand(CLI::App& app, const ChooseCommand& choose) {
  CLI::App* list = app.add_subcommand(
      "list",
      "List the scenarios: what each does, how it is proven, and which "
      "test of\nkvm-unit-tests' vmexit does the same.");
  list->callback([choose] { choose(RunList); });
}

}  // namespace worldswitch
