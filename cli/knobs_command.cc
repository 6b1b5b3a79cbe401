#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/backends.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/knob_text.h"
#include "lab/native_knobs.h"

namespace worldswitch {
namespace {

constexpr LabEngine kNativeEngines[] = {LabEngine::kVmxNative,
                                        LabEngine::kSvmNative};

// Of the engine that is named, or of both.
void ShowNative(const std::vector<LabEngine>& engines, bool as_json) {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  for (const LabEngine engine : engines) {
    const KnobSet knobs = NativeKnobs(engine);
    if (as_json) {
      all[LabEngineName(engine)] = KnobsJson(knobs);
    } else {
      std::cout << absl::StrFormat(
          "engine %s (worldswitch lab %s -- bench --knob NAME=VALUE)\n\n%s\n",
          LabEngineName(engine), LabEngineName(engine), KnobsText(knobs));
    }
  }
  if (as_json) {
    std::cout << nlohmann::ordered_json{{"native", all}}.dump(1) << "\n";
  }
}

int RunKnobs(const std::string& name, bool as_json) {
  for (const LabEngine engine : kNativeEngines) {
    if (name != LabEngineName(engine)) continue;
    ShowNative({engine}, as_json);
    return kExitOk;
  }
  int code = kExitOk;
  const std::unique_ptr<Backend> backend = OpenBackend(name, &code);
  if (backend == nullptr) return code;
  if (as_json) {
    nlohmann::ordered_json json = {{"backend", backend->name()},
                                   {"engine", backend->engine()},
                                   {"knobs", KnobsJson(backend->knobs())}};
    for (const LabEngine engine : kNativeEngines) {
      json["native"][LabEngineName(engine)] = KnobsJson(NativeKnobs(engine));
    }
    std::cout << json.dump(1) << "\n";
  } else {
    std::cout << absl::StrFormat("backend %s, engine %s\n\n", backend->name(),
                                 backend->engine())
              << KnobsText(backend->knobs()) << "\n";
    ShowNative({std::begin(kNativeEngines), std::end(kNativeEngines)}, false);
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
                   "auto, or NAME, or a plugin's path, each with :key=value; "
                   "or svm_native or vmx_native: those of ring 0 alone")
      ->type_name("NAME[:k=v,...]")
      ->capture_default_str();
  knobs->add_flag("--json", *as_json, "as JSON");
  knobs->callback([backend, as_json, choose] {
    choose([backend, as_json] { return RunKnobs(*backend, *as_json); });
  });
}

}  // namespace worldswitch
