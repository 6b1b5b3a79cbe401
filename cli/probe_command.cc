#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "backends/kvm/kvm_feature_msrs.h"
#include "backends/svm_amd/svm_report.h"
#include "backends/vmx_intel/vmx_report.h"
#include "bench/session.h"
#include "cli/backends.h"
#include "cli/capability_text.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/knob_text.h"
#include "core/host/capability_report.h"
#include "core/host/distortions.h"
#include "core/host/fingerprint.h"
#include "nlohmann/json.hpp"

namespace worldswitch {
namespace {

using Json = nlohmann::ordered_json;

// One backend as it is found here.
struct Found {
  std::string name;
  std::string origin;                       // "" where it is built in
  const BackendFactory* factory = nullptr;  // null: refused
  absl::Status status;
  std::unique_ptr<Backend> backend;  // null unless usable
};

Found Look(const BackendListing& listing) {
  // A plugin by its file: its name says no more.
  const std::string& text =
      listing.origin.empty() ? listing.name : listing.origin;
  Found found;
  found.name = listing.name;
  found.origin = listing.origin;
  found.status = listing.status;
  if (!found.status.ok()) return found;
  absl::StatusOr<const BackendFactory*> factory = Backends().Find(text);
  found.status = factory.status();
  if (!factory.ok()) return found;
  found.factory = *factory;
  if ((*factory)->probe) found.status = (*factory)->probe();
  // What is no machine cannot be opened without parameters.
  if (!found.status.ok() || !(*factory)->is_machine) return found;
  absl::StatusOr<BackendRegistry::Opened> opened = Backends().Open(text);
  found.status = opened.status();
  if (opened.ok()) found.backend = std::move(opened->backend);
  return found;
}

std::vector<Found> FindAll() {
  std::vector<Found> all;
  for (const BackendListing& listing : Backends().List()) {
    all.push_back(Look(listing));
  }
  return all;
}

// What processor and KVM tell of both vendors' virtualization, whichever engine
// is here: one that is neither may still run on a processor that has it.
std::vector<CapabilityReport> AllReports() {
  CapabilitySources sources = HostCapabilitySources();
  absl::StatusOr<std::shared_ptr<const KvmSystem>> system = KvmSystem::Open();
  if (system.ok()) {
    AddKvmSources(**system, &sources);
  } else {
    sources.kvm_source = KvmSystem::kDefaultDevice;
    sources.kvm_feature_msrs = system.status();
  }
  std::vector<CapabilityReport> reports = VmxReports(sources);
  for (CapabilityReport& report : SvmReports(sources)) {
    reports.push_back(std::move(report));
  }
  reports.push_back(KvmFeatureReport(sources));
  return reports;
}

Json ToJson(const std::vector<Fact>& facts) {
  Json json = Json::object();
  for (const Fact& fact : facts) json[fact.name] = fact.value;
  return json;
}

Json BackendJson(const Found& found) {
  Json json = {{"name", found.name}};
  if (!found.origin.empty()) json["origin"] = found.origin;
  if (found.factory != nullptr) json["summary"] = found.factory->summary;
  json["usable"] = found.status.ok();
  if (!found.status.ok()) json["why_not"] = found.status.message();
  if (found.factory == nullptr) return json;
  json["parameters"] = ToJson(found.factory->parameters);
  if (found.backend == nullptr) return json;
  json["engine"] = found.backend->engine();
  json["engine_is"] = EngineMeaning(found.backend->engine());
  json["unit"] = found.backend->unit();
  json["facts"] = ToJson(found.backend->facts());
  json["knobs"] = KnobsJson(found.backend->knobs());
  return json;
}

void PrintFacts(const std::vector<Fact>& facts) {
  for (const Fact& fact : facts) {
    std::cout << absl::StrFormat("  %-34s %s\n", fact.name, fact.value);
  }
}

void PrintBackend(const Found& found) {
  std::cout << "backend " << (found.name.empty() ? found.origin : found.name)
            << ": "
            << (found.factory == nullptr ? "a plugin" : found.factory->summary)
            << "\n";
  if (!found.origin.empty()) std::cout << "  from " << found.origin << "\n";
  if (!found.status.ok()) {
    std::cout << "  not usable: " << found.status.message() << "\n";
    return;
  }
  for (const Fact& parameter : found.factory->parameters) {
    std::cout << absl::StrFormat("  parameter %-24s %s\n", parameter.name,
                                 parameter.value);
  }
  if (found.backend == nullptr) return;
  const std::string engine = found.backend->engine();
  std::cout << absl::StrFormat("  %-34s %s (%s)\n", "engine", engine,
                               EngineMeaning(engine));
  for (const Fact& fact : found.backend->facts()) {
    if (fact.name != "engine") PrintFacts({fact});
  }
  std::cout << absl::StrFormat("  %-34s %d ('worldswitch knobs' shows them)\n",
                               "knobs", found.backend->knobs().all().size());
}

// The one of that "--backend" text. On trouble says why, as OpenBackend does.
std::optional<Found> FindOne(const std::string& text, int* exit_code) {
  Found found;
  found.backend = OpenBackend(text, exit_code);
  if (found.backend == nullptr) return std::nullopt;
  const std::string word = text.substr(0, text.find(':'));
  absl::StatusOr<const BackendFactory*> factory =
      Backends().Find(word == "auto" ? found.backend->name() : word);
  found.status = factory.status();
  found.name = found.backend->name();
  if (!factory.ok()) return found;
  found.factory = *factory;
  found.origin = (*factory)->origin;
  return found;
}

int RunProbe(const std::string& backend, bool as_json) {
  std::vector<Found> all;
  if (backend.empty()) {
    all = FindAll();
  } else {
    int code = kExitOk;
    std::optional<Found> one = FindOne(backend, &code);
    if (!one.has_value()) return code;
    all.push_back(*std::move(one));
  }
  const std::vector<CapabilityReport> reports = AllReports();
  const Fingerprint host = ReadFingerprint();
  absl::StatusOr<std::uint32_t> cpu = DefaultCpu();
  const std::vector<Distortion> distortions =
      FindDistortions(host, cpu.ok() ? static_cast<int>(*cpu) : -1);
  if (as_json) {
    Json json;
    json["backends"] = Json::array();
    for (const Found& found : all)
      json["backends"].push_back(BackendJson(found));
    json["capabilities"] = Json::array();
    for (const CapabilityReport& report : reports) {
      json["capabilities"].push_back(CapabilityJson(report));
    }
    json["host"] = ToJson(host.facts);
    json["fingerprint_hash"] = host.hash;
    json["tsc_hz"] = host.tsc_hz;
    json["tsc_source"] = host.tsc_source;
    json["distortions"] = Json::array();
    for (const Distortion& distortion : distortions) {
      json["distortions"].push_back({{"name", distortion.name},
                                     {"why", distortion.why},
                                     {"remedy", distortion.remedy}});
    }
    std::cout << json.dump(1) << "\n";
    return kExitOk;
  }
  for (const Found& found : all) {
    PrintBackend(found);
    std::cout << "\n";
  }
  std::cout << "hardware virtualization, by the manuals' names\n";
  for (const CapabilityReport& report : reports) {
    std::cout << CapabilityText(report);
  }
  std::cout << "\nhost, fingerprint " << host.hash << "\n";
  PrintFacts(host.facts);
  std::cout << absl::StrFormat("  %-34s %.0f, from %s\n", "tsc_hz", host.tsc_hz,
                               host.tsc_source);
  std::cout << "\nwhat distorts figures here:\n";
  for (const Distortion& distortion : distortions) {
    std::cout << "  " << distortion.name << ": " << distortion.why
              << "\n      remedy: " << distortion.remedy << "\n";
  }
  if (distortions.empty()) std::cout << "  nothing that could be seen\n";
  return kExitOk;
}

}  // namespace

void AddProbeCommand(CLI::App& app, const ChooseCommand& choose) {
  auto backend = std::make_shared<std::string>();
  auto as_json = std::make_shared<bool>(false);
  CLI::App* probe = app.add_subcommand(
      "probe",
      "Show the backends and why each is or is not usable, the engine, its\n"
      "capabilities, mitigations, and everything that will distort figures.");
  probe->add_flag("--json", *as_json, "as JSON");
  probe
      ->add_option("--backend", *backend,
                   "only this one: auto, NAME, a plugin's path, each with "
                   ":key=value (default: all of them)")
      ->type_name("NAME[:k=v,...]");
  probe->callback([backend, as_json, choose] {
    choose([backend, as_json] { return RunProbe(*backend, *as_json); });
  });
}

}  // namespace worldswitch
