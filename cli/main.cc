// worldswitch: measures what a world switch costs.

#include <exception>
#include <functional>
#include <iostream>
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
    "  worldswitch lab kvm_amd -- bench      in an emulated host, counting "
    "instructions\n"
    "\n"
    "Exit codes: 0 ok, 1 a result could not be written, 2 usage, 3 no usable\n"
    "backend, 128 + n ended by signal n (Ctrl-C: 130).\n";

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
  worldswitch::AddLabCommand(app, choose);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.get_subcommands().empty() && !app.remaining().empty()) {
      std::cerr << "worldswitch: no command '" << app.remaining().front()
                << "'; there are backends, bench, knobs, lab, list and probe "
                   "(--help)\n";
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
