#include "backends/scripted/scripted_backend.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/scripted/recording.h"
#include "backends/scripted/replay_backend.h"
#include "backends/scripted/script_text.h"

namespace worldswitch {
namespace {

constexpr char kName[] = "scripted";

class ScriptedBackend final : public Backend {
 public:
  explicit ScriptedBackend(Script script) : script_(std::move(script)) {}

  const std::string& name() const override { return name_; }
  std::string engine() const override { return "none"; }
  std::vector<Fact> facts() const override {
    return {{.name = "steps", .value = absl::StrCat(script_.steps().size())}};
  }
  const KnobSet& knobs() const override { return knobs_; }
  absl::StatusOr<std::unique_ptr<Vm>> CreateVm(
      const VmConfig& config) override {
    if (absl::Status checked = knobs_.Check(config.knobs); !checked.ok()) {
      return checked;
    }
    return ScriptedVm::Create(script_, config);
  }

 private:
  const std::string name_ = kName;
  const Script script_;
  const KnobSet knobs_;
};

absl::StatusOr<std::unique_ptr<Backend>> CreateFromFile(
    const BackendSpec& spec) {
  if (spec.parameters.size() != 1) {
    return absl::InvalidArgumentError(
        "there is no script to play, or there are two; name one: "
        "scripted:script=FILE, or scripted:recording=FILE");
  }
  const auto& [key, value] = spec.parameters.front();
  if (key == "recording") {
    absl::StatusOr<Recording> recording = ReadRecording(value);
    if (!recording.ok()) return recording.status();
    return MakeReplayBackend(*std::move(recording));
  }
  absl::StatusOr<Script> script = ReadScript(value);
  if (!script.ok()) return script.status();
  return MakeScriptedBackend(*std::move(script));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ScriptedVm>> ScriptedVm::Create(
    const Script& script, const VmConfig& config) {
  if (!script.status().ok()) return script.status();
  if (config.needs.vcpus == 0) {
    return absl::InvalidArgumentError("a VM needs at least one vCPU");
  }
  if (absl::Status checked = KnobSet().Check(config.knobs); !checked.ok()) {
    return checked;
  }
  absl::StatusOr<GuestMemory> memory =
      GuestMemory::Create(config.needs.memory_bytes, config.backing);
  if (!memory.ok()) return memory.status();
  std::unique_ptr<ScriptedVm> vm(new ScriptedVm(*std::move(memory)));
  for (std::uint32_t i = 0; i < config.needs.vcpus; ++i) {
    vm->vcpus_.push_back(std::make_unique<ScriptedVcpu>(script));
  }
  return vm;
}

MemoryView ScriptedVm::memory() {
  return {.host = memory_.data(), .gpa = 0, .size = memory_.size()};
}

std::uint32_t ScriptedVm::vcpu_count() const {
  return static_cast<std::uint32_t>(vcpus_.size());
}

bool ScriptedVm::has(Capability capability) const {
  switch (capability) {
    case Capability::kIrqInjection:
    case Capability::kIrqWindow:
    case Capability::kNmiInjection:
    case Capability::kExceptionInjection:
    case Capability::kDiscardMemory:
    case Capability::kConcurrentVcpus:
      return true;
    case Capability::kCounters:
    case Capability::kSharedTimeStamp:
    case Capability::kCount:
      break;
  }
  return false;
}

OptionalValue ScriptedVm::counter(Counter /*counter*/,
                                  std::uint32_t /*vcpu_index*/) {
  return {};
}

Result ScriptedVm::discard_memory(std::uint64_t gpa, std::uint64_t length) {
  return memory_.Discard(gpa, length).ok() ? Result::kOk : Result::kError;
}

std::unique_ptr<Backend> MakeScriptedBackend(Script script) {
  return std::make_unique<ScriptedBackend>(std::move(script));
}

BackendFactory ScriptedBackendFactory() {
  return {.name = kName,
          .summary = "plays a list of exits; not a machine",
          .parameters = {{.name = "script",
                          .value = "the file with the exits to play"},
                         {.name = "recording",
                          .value = "in place of a script: a recording, whose "
                                   "VMs are played again"}},
          .is_machine = false,
          .probe = [] { return absl::OkStatus(); },
          .create = CreateFromFile};
}

}  // namespace worldswitch
