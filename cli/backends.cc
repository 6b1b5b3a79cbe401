#include "cli/backends.h"

#include <unistd.h>

#include <iostream>
#include <utility>
#include <vector>

#include "backends/kvm/kvm_backend.h"
#include "backends/scripted/scripted_backend.h"
#include "backends/svm_amd/svm_backend.h"
#include "backends/vmx_intel/vmx_backend.h"
#include "cli/exit_code.h"
#include "core/host/plugin_catalogue.h"

namespace worldswitch {

int ExitCodeOfBackend(const absl::Status& status, const std::string& text) {
  if (absl::IsInvalidArgument(status)) return kExitUsage;
  const std::string name = text.substr(0, text.find(':'));
  if (name == "auto") return kExitNoBackend;
  if (name.find('/') != std::string::npos) {
    return access(name.c_str(), F_OK) == 0 ? kExitNoBackend : kExitUsage;
  }
  for (const BackendListing& listing : Backends().List()) {
    if (listing.name == name) return kExitNoBackend;
  }
  return kExitUsage;
}

const BackendRegistry& Backends() {
  static const BackendRegistry* const registry = [] {
    auto* made = new BackendRegistry;
    // The vendors' first: auto takes one where the engine is theirs.
    for (BackendFactory& factory : std::vector<BackendFactory>{
             VmxBackendFactory(), SvmBackendFactory(), KvmBackendFactory(),
             ScriptedBackendFactory()}) {
      if (absl::Status added = made->Add(std::move(factory)); !added.ok()) {
        std::cerr << "worldswitch: " << added.message() << "\n";
      }
    }
    made->SetSource(std::make_unique<PluginCatalogue>());
    return made;
  }();
  return *registry;
}

std::unique_ptr<Backend> OpenBackend(const std::string& text, int* exit_code) {
  absl::StatusOr<BackendRegistry::Opened> opened = Backends().Open(text);
  if (!opened.ok()) {
    std::cerr << "worldswitch: " << opened.status().message() << "\n";
    *exit_code = ExitCodeOfBackend(opened.status(), text);
    return nullptr;
  }
  for (const BackendRegistry::Skipped& skipped : opened->skipped) {
    std::cerr << "skipped backend " << skipped.name << ": "
              << skipped.why.message() << "\n";
  }
  if (text == "auto") {
    const std::string engine = opened->backend->engine();
    std::cerr << "backend " << opened->backend->name() << ": the engine is "
              << engine << ", " << EngineMeaning(engine) << "\n";
  }
  *exit_code = kExitOk;
  return std::move(opened->backend);
}

std::string EngineMeaning(const std::string& engine) {
  if (engine == "kvm_intel") return "VT-x";
  if (engine == "kvm_amd") return "SVM";
  if (engine == "kvm_pvm") {
    return "neither VT-x nor SVM: ring 0 of the guest is emulated, ring 3 runs "
           "natively";
  }
  return "not identified as VT-x or SVM";
}

}  // namespace worldswitch
