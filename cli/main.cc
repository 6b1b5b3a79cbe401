// worldswitch: measures what a world switch costs.

#include <exception>
#include <functional>
#include <iostream>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "cli/commands.h"
#include "cli/exit_code.h"

namespace {

constexpr char kDescription[] =
    "Worldswitch takes world switches (guest entry and VM exit) on purpose "
    "and\n"
    "measures what each kind costs, with proof that it happened.\n";

constexpr char kFooter[] =
    "Start with:\n"
    "  worldswitch bench                     every kind of exit, on this host\n"
    "  worldswitch bench --scenario 'user/*' --mode ring3 --json out.json\n"
    "  worldswitch list                      what each scenario does\n"
    "  worldswitch knobs                     what can be tuned, and how\n"
    "  worldswitch backends                  what can be measured on, plugins "
    "included\n"
    "  worldswitch probe                     what this host can do, and what "
    "distorts figures\n"
    "  worldswitch conformance               the contract, clause by clause\n"
    "  worldswitch lab kvm_amd -- bench      in an emulated host, counting "
    "instructions\n"
    "  worldswitch lab svm_native -- bench   the same in ring 0, without a "
    "kernel\n"
    "\n"
    "Exit codes: 0 ok, 1 a check failed or a result could not be written, 2\n"
    "usage, 3 no usable backend, 128 + n ended by signal n (Ctrl-C: 130).\n";

// "bench, knobs, probe": the verbs there are.
std::string Names(const CLI::App& app) {
  std::string names;
  for (const CLI::App* verb : app.get_subcommands(nullptr)) {
    names += (names.empty() ? "" : ", ") + verb->get_name();
  }
  return names;
}

int Main(int argc, char** argv) {
  CLI::App app(kDescription, "worldswitch");
  app.footer(kFooter);
  app.set_version_flag("--version", WORLDSWITCH_VERSION);
  app.require_subcommand(1);
  std::function<int()> chosen;
  const worldswitch::ChooseCommand choose = [&](std::function<int()> run) {
    chosen = std::move(run);
  };
  worldswitch::AddBenchCommand(app, choose);
  worldswitch::AddProbeCommand(app, choose);
  worldswitch::AddBackendsCommand(app, choose);
  worldswitch::AddListCommand(app, choose);
  worldswitch::AddKnobsCommand(app, choose);
  worldswitch::AddConformanceCommand(app, choose);
  worldswitch::AddImportCommand(app, choose);
  worldswitch::AddLabCommand(app, choose);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.get_subcommands().empty() && !app.remaining().empty()) {
      std::cerr << "worldswitch: no command '" << app.remaining().front()
                << "'; there are " << Names(app) << " (--help)\n";
      return worldswitch::kExitUsage;
    }
    const int code = app.exit(error);
    return code == 0 ? worldswitch::kExitOk : worldswitch::kExitUsage;
  }
  return chosen();
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Main(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "worldswitch: " << error.what() << "\n";
    return worldswitch::kExitFailed;
  }
}
