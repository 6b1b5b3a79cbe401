#include "backends/kvm/kvm_knobs.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_header.h"

namespace worldswitch {
namespace {

constexpr char kIrqchip[] = "irqchip";
constexpr char kPit[] = "pit";
constexpr char kDisableExits[] = "disable_exits";
constexpr char kHaltPoll[] = "halt_poll_ns";
// "Whatever the engine does by itself."
constexpr std::int64_t kEngineHaltPoll = -1;
constexpr std::int64_t kLongestHaltPoll = 1'000'000'000;

struct ExitBit {
  const char* name;
  std::uint32_t bit;
};
constexpr ExitBit kExitBits[] = {{"hlt", KVM_X86_DISABLE_EXITS_HLT},
                                 {"pause", KVM_X86_DISABLE_EXITS_PAUSE},
                                 {"mwait", KVM_X86_DISABLE_EXITS_MWAIT},
                                 {"cstate", KVM_X86_DISABLE_EXITS_CSTATE}};
}  // namespace

Knob VmKnob(const char* name, KnobType type, const char* default_value) {
  Knob knob;
  knob.name = name;
  knob.scope = KnobScope::kVm;
  knob.type = type;
  knob.default_value = default_value;
  knob.current_value = default_value;
  return knob;
}

std::vector<Knob> IrqchipKnobs(const KvmSystem& system) {
  const bool full = system.Capability(KVM_CAP_IRQCHIP) > 0;
  const bool split = full && system.Capability(KVM_CAP_SPLIT_IRQCHIP) > 0;
  Knob irqchip = VmKnob(kIrqchip, KnobType::kChoice, "none");
  irqchip.choices = {"none"};
  if (split) irqchip.choices.emplace_back("split");
  if (full) irqchip.choices.emplace_back("full");
  irqchip.meaning =
      "interrupt controllers in the engine: none, the local APICs, or IOAPIC "
      "and PICs as well";
  irqchip.applied_by = "KVM_CAP_SPLIT_IRQCHIP, KVM_CREATE_IRQCHIP";
  if (!full) irqchip.not_settable = "the engine lacks KVM_CAP_IRQCHIP";
  Knob pit = VmKnob(kPit, KnobType::kBool, "off");
  pit.meaning = "an interval timer (8254) in the engine; needs irqchip=full";
  pit.applied_by = "KVM_CREATE_PIT2";
  if (system.Capability(KVM_CAP_PIT2) <= 0) {
    pit.not_settable = "the engine lacks KVM_CAP_PIT2";
  }
  return {std::move(irqchip), std::move(pit)};
}

absl::Status ApplyIrqchipKnobs(const KnobSet& knobs,
                               const KnobSettings& settings,
                               KvmVmOptions* options) {
  const std::string irqchip = knobs.ValueOf(kIrqchip, settings);
  const absl::StatusOr<bool> pit = ParseKnobBool(knobs.ValueOf(kPit, settings));
  if (!pit.ok()) return pit.status();
  if (*pit && irqchip != "full") {
    return absl::InvalidArgumentError(
        absl::StrCat("pit=on with irqchip=", irqchip,
                     ": the timer's line needs the PICs; set irqchip=full"));
  }
  if (irqchip == "none") return absl::OkStatus();
  const IrqchipKind kind =
      irqchip == "full" ? IrqchipKind::kFull : IrqchipKind::kSplit;
  // In this order on purpose: the memory slots are there already. An irqchip
  // that is older than the first slot makes that slot cost milliseconds.
  options->before_vcpus.emplace_back([kind, with_pit = *pit](KvmVm& vm) {
    return vm.CreateIrqchip(kind, with_pit);
  });
  return absl::OkStatus();
}

std::vector<Knob> ExitKnobs(const KvmSystem& system) {
  const auto offered =
      static_cast<std::uint32_t>(system.Capability(KVM_CAP_X86_DISABLE_EXITS));
  Knob exits = VmKnob(kDisableExits, KnobType::kFlags, "none");
  for (const ExitBit& exit : kExitBits) {
    if ((offered & exit.bit) != 0) exits.choices.emplace_back(exit.name);
  }
  exits.meaning = "instructions that the guest executes without an exit";
  exits.applied_by = "KVM_CAP_X86_DISABLE_EXITS";
  if (exits.choices.empty()) {
    exits.not_settable = "the engine offers no exit to turn off";
  }
  Knob poll = VmKnob(kHaltPoll, KnobType::kInteger, "-1");
  poll.minimum = kEngineHaltPoll;
  poll.maximum = kLongestHaltPoll;
  poll.unit = "ns";
  poll.meaning =
      "how long a halted vCPU is polled for before its thread sleeps, at most; "
      "-1: as the engine is set";
  poll.applied_by = "KVM_CAP_HALT_POLL";
  if (system.Capability(KVM_CAP_HALT_POLL) <= 0) {
    poll.not_settable = "the engine lacks KVM_CAP_HALT_POLL";
  }
  return {std::move(exits), std::move(poll)};
}

absl::Status ApplyExitKnobs(const KnobSet& knobs, const KnobSettings& settings,
                            KvmVmOptions* options) {
  std::uint64_t bits = 0;
  for (const std::string& part :
       ParseKnobFlags(knobs.ValueOf(kDisableExits, settings))) {
    for (const ExitBit& exit : kExitBits) {
      if (part == exit.name) bits |= exit.bit;
    }
  }
  if (bits != 0) {
    options->before_vcpus.emplace_back([bits](KvmVm& vm) {
      return vm.EnableCapability(KVM_CAP_X86_DISABLE_EXITS,
                                 "KVM_CAP_X86_DISABLE_EXITS", {bits});
    });
  }
  const absl::StatusOr<std::int64_t> poll =
      ParseKnobInteger(knobs.ValueOf(kHaltPoll, settings));
  if (!poll.ok()) return poll.status();
  if (*poll != kEngineHaltPoll) {
    options->before_vcpus.emplace_back([poll = *poll](KvmVm& vm) {
      return vm.EnableCapability(KVM_CAP_HALT_POLL, "KVM_CAP_HALT_POLL",
                                 {static_cast<std::uint64_t>(poll)});
    });
  }
  return absl::OkStatus();
}

}  // namespace worldswitch
