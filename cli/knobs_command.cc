#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/backends.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/knob_text.h"

namespace worldswitch {
namespace {

int RunKnobs(const std::string& name, bool as_json) {
  int code = kExitOk;
  const std::unique_ptr<Backend> backend = OpenBackend(name, &code);
  if (backend == nullptr) return code;
  if (as_json) {
    std::cout << nlohmann::ordered_json{{"backend", backend->name()},
                                        {"engine", backend->engine()},
                                        {"knobs", KnobsJson(backend->knobs())}}
                     .dump(1)
              << "\n";
  } else {
    std::cout << absl::StrFormat("backend %s, engine %s\n\n", backend->name(),
                                 backend->engine())
              << KnobsText(backend->knobs());
  }
  return kExitOk;
}

}  // namespace

void AddKnobsCommand(CLI::App& app, const ChooseCommand& choose) {
  auto backend = std::make_shared<std::string>("auto");
  auto as_json = std::make_shared<bool>(false);
  CLI::App* knobs = app.add_subcommand(
      "knobs",
      "Show what can be tuned: scope, range, value, how it is applied, and "
      "why\n"
      "not where it is not. Set one with 'bench --knob NAME=VALUE'.");
  knobs
      ->add_option("--backend", *backend,
                   "auto, or NAME, or a plugin's path, each with :key=value")
      ->type_name("NAME[:k=v,...]")
      ->capture_default_str();
  knobs->add_flag("--json", *as_json, "as JSON");
  knobs->callback([backend, as_json, choose] {
    choose([backend, as_json] { return RunKnobs(*backend, *as_json); });
  });
}

}  // namespace worldswitch
