#include "backends/kvm/kvm_backend.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "backends/kvm/kick_block.h"
#include "backends/kvm/kvm_knobs.h"
#include "backends/kvm/module_knobs.h"

namespace worldswitch {
namespace {

constexpr char kRegisters[] = "registers";
constexpr char kDirtyRing[] = "dirty_ring";

Knob DirtyRingKnob(const KvmSystem& system) {
  const auto bytes =
      static_cast<std::size_t>(system.Capability(KVM_CAP_DIRTY_LOG_RING));
  Knob knob;
  knob.name = kDirtyRing;
  knob.scope = KnobScope::kVm;
  knob.type = KnobType::kInteger;
  knob.maximum = static_cast<std::int64_t>(bytes / sizeof(kvm_dirty_gfn));
  knob.unit = "entries";
  knob.meaning =
      "pages written are told in a ring for each vCPU, a power of two long, "
      "instead of in bitmaps; 0: no ring";
  knob.default_value = std::string("0");
  knob.current_value = knob.default_value;
  knob.applied_by = "KVM_CAP_DIRTY_LOG_RING";
  if (bytes == 0) {
    knob.not_settable = "the engine lacks KVM_CAP_DIRTY_LOG_RING";
  }
  return knob;
}

// The knobs of every engine.
std::vector<Knob> CommonKnobs(const KvmSystem& system) {
  const bool sync = system.OffersSyncRegisters();
  Knob registers;
  registers.name = kRegisters;
  registers.scope = KnobScope::kVm;
  registers.type = KnobType::kChoice;
  registers.choices = {"ioctl", "sync"};
  registers.meaning =
      "how registers travel: by system calls of their own, or in the page that "
      "KVM_RUN shares";
  registers.default_value = sync ? "sync" : "ioctl";
  registers.current_value = registers.default_value;
  registers.applied_by = "KVM_CAP_SYNC_REGS";
  if (!sync) registers.not_settable = "the engine lacks KVM_CAP_SYNC_REGS";
  return {std::move(registers), DirtyRingKnob(system)};
}

KnobSet AllKnobs(const KvmSystem& system, std::vector<Knob> extra) {
  std::vector<Knob> knobs = CommonKnobs(system);
  for (Knob& knob : IrqchipKnobs(system)) knobs.push_back(std::move(knob));
  for (Knob& knob : ExitKnobs(system)) knobs.push_back(std::move(knob));
  for (Knob& knob : AskedExitKnobs(system)) knobs.push_back(std::move(knob));
  for (Knob& knob : MsrKnobs(system)) knobs.push_back(std::move(knob));
  for (Knob& knob : ProcessorKnobs(system)) knobs.push_back(std::move(knob));
  for (Knob& knob : extra) knobs.push_back(std::move(knob));
  for (const char* module : {"kvm", KvmEngineName(system.engine())}) {
    for (Knob& knob : ModuleKnobs(system.sysfs(), module)) {
      knobs.push_back(std::move(knob));
    }
  }
  return KnobSet(std::move(knobs));
}

}  // namespace

std::vector<Fact> KvmBackendParameters() {
  return {
      {"device", "path of KVM's device; default /dev/kvm"},
      {"kick_signal", absl::StrCat("signal that breaks off KVM_RUN; default ",
                                   KickBlock::DefaultSignal())}};
}

absl::StatusOr<KvmBackendOptions> ParseKvmBackendOptions(
    const BackendSpec& spec) {
  KvmBackendOptions options;
  for (const auto& [key, value] : spec.parameters) {
    if (key == "device") {
      options.device = value;
    } else if (key == "kick_signal") {
      if (!absl::SimpleAtoi(value, &options.kick_signal) ||
          options.kick_signal <= 0) {
        return absl::InvalidArgumentError(absl::StrCat(
            "kick_signal=", value, ": not the number of a signal"));
      }
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("backend ", spec.name, " has no parameter ", key));
    }
  }
  return options;
}

KvmBackend::KvmBackend(std::string name,
                       std::shared_ptr<const KvmSystem> system, int kick_signal,
                       std::vector<Knob> extra_knobs)
    : name_(std::move(name)),
      system_(std::move(system)),
      kick_signal_(kick_signal != 0 ? kick_signal : KickBlock::DefaultSignal()),
      knobs_(AllKnobs(*system_, std::move(extra_knobs))) {}

std::string KvmBackend::engine() const {
  return KvmEngineName(system_->engine());
}

std::vector<Fact> KvmBackend::facts() const { return system_->facts(); }

absl::StatusOr<std::unique_ptr<Vm>> KvmBackend::CreateVm(
    const VmConfig& config) {
  return CreateKvmVm(config);
}

absl::StatusOr<std::unique_ptr<KvmVm>> KvmBackend::CreateKvmVm(
    const VmConfig& config) {
  absl::Status status = knobs_.Check(config.knobs);
  if (!status.ok()) return status;
  status = KickBlock::PrepareSignal(kick_signal_);
  if (!status.ok()) return status;
  KvmVmOptions options;
  options.needs = config.needs;
  options.backing = config.backing;
  options.kick_signal = kick_signal_;
  status = ApplyKnobs(config.knobs, &options);
  if (!status.ok()) return status;
  return KvmVm::Create(system_, options);
}

absl::Status KvmBackend::ApplyKnobs(const KnobSettings& settings,
                                    KvmVmOptions* options) const {
  options->registers = knobs_.ValueOf(kRegisters, settings) == "sync"
                           ? RegisterTransport::kSyncArea
                           : RegisterTransport::kIoctl;
  absl::Status status = ApplyIrqchipKnobs(knobs_, settings, options);
  if (status.ok()) status = ApplyExitKnobs(knobs_, settings, options);
  if (status.ok()) status = ApplyAskedExitKnobs(knobs_, settings, options);
  if (status.ok()) status = ApplyMsrKnobs(knobs_, settings, options);
  if (status.ok()) status = ApplyProcessorKnobs(knobs_, settings, options);
  if (!status.ok()) return status;
  const std::string ring = knobs_.ValueOf(kDirtyRing, settings);
  const std::int64_t entries = ParseKnobInteger(ring).value_or(-1);
  if (entries < 0 || (entries & (entries - 1)) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(kDirtyRing, "=", ring, ": not a power of two"));
  }
  options->dirty_ring = static_cast<std::uint32_t>(entries);
  return absl::OkStatus();
}

absl::Status ProbeKvm(const std::string& device) {
  absl::StatusOr<std::shared_ptr<const KvmSystem>> system =
      KvmSystem::Open(device);
  if (!system.ok()) return system.status();
  return (*system)->CreateVm().status();
}

BackendFactory KvmBackendFactory() {
  BackendFactory factory;
  factory.name = "kvm";
  factory.summary = "/dev/kvm, whatever engine stands behind it";
  factory.parameters = KvmBackendParameters();
  factory.probe = [] { return ProbeKvm(); };
  factory.create =
      [](const BackendSpec& spec) -> absl::StatusOr<std::unique_ptr<Backend>> {
    absl::StatusOr<KvmBackendOptions> options = ParseKvmBackendOptions(spec);
    if (!options.ok()) return options.status();
    absl::Status status = KickBlock::PrepareSignal(
        options->kick_signal != 0 ? options->kick_signal
                                  : KickBlock::DefaultSignal());
    if (!status.ok()) return status;
    absl::StatusOr<std::shared_ptr<const KvmSystem>> system =
        KvmSystem::Open(options->device);
    if (!system.ok()) return system.status();
    return std::make_unique<KvmBackend>(spec.name, *std::move(system),
                                        options->kick_signal);
  };
  return factory;
}

}  // namespace worldswitch
