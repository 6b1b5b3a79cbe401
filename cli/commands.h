// The command's verbs. Each adds its options to the parser and leaves a
// function that does the work and gives the exit code.

#ifndef WORLDSWITCH_CLI_COMMANDS_H_
#define WORLDSWITCH_CLI_COMMANDS_H_

#include <functional>

#include "CLI/CLI.hpp"

namespace worldswitch {

// Called with the function to run if this verb was given.
using ChooseCommand = std::function<void(std::function<int()>)>;

void AddBenchCommand(CLI::App& app, const ChooseCommand& choose);
void AddProbeCommand(CLI::App& app, const ChooseCommand& choose);
void AddBackendsCommand(CLI::App& app, const ChooseCommand& choose);
void AddListCommand(CLI::App& app, const ChooseCommand& choose);
void AddKnobsCommand(CLI::App& app, const ChooseCommand& choose);
void AddConformanceCommand(CLI::App& app, const ChooseCommand& choose);
void AddImportCommand(CLI::App& app, const ChooseCommand& choose);
// After all others: a lab runs those.
void AddLabCommand(CLI::App& app, const ChooseCommand& choose);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_COMMANDS_H_
