// What a local APIC in the engine makes possible: timers, interprocessor
// interrupts, messages, and exits that the engine deals with on its fast path.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"
#include "core/features/irqchip.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kTimerTicks = 100000;  // some 40 us
constexpr std::uint32_t kGsi = 24;             // behind the IOAPIC's pins
constexpr IrqfdToken kTheOnlyIrqfd = 0;
constexpr MsiMessage kMessage = FixedMsi(0, WS_APIC_VECTOR);

constexpr const char* kHandledPolled =
    "the guest's handler counts one interrupt an iteration, and the engine's "
    "halt_successful_poll one as well";
constexpr const char* kHandledSlept =
    "the guest's handler counts one interrupt an iteration, and the engine's "
    "halt_successful_poll none";
constexpr const char* kHandledAfterOut =
    "run returns the OUT, and the handler stamps, once an iteration";

bool StartIrqfd(VmOps& vm) {
  if (!StartApics(vm)) return false;
  auto* const irqchip = FeatureOf<Irqchip>(vm);
  const IrqRoute route = {
      .gsi = kGsi, .target = IrqTarget::kMsi, .pin = 0, .msi = kMessage};
  IrqfdToken token = 0;
  return irqchip->set_routing(&route, 1) == Result::kOk &&
         irqchip->add_irqfd(kGsi, &token) == Result::kOk;
}

bool SignalIrqfd(VmOps& vm) {
  return FeatureOf<Irqchip>(vm)->signal_irqfd(kTheOnlyIrqfd) == Result::kOk;
}

ExitRole OnSendMsi(ExitScene& scene, Exit& exit) {
  if (!IsPort(exit, WS_PORT_TEST, true)) return ExitRole::kUnexpected;
  bool delivered = false;
  return FeatureOf<Irqchip>(scene.vm)->signal_msi(kMessage, &delivered) ==
                     Result::kOk &&
                 delivered
             ? ExitRole::kMeasured
             : ExitRole::kUnexpected;
}

ExitRole OnSignalIrqfd(ExitScene& scene, Exit& exit) {
  return IsPort(exit, WS_PORT_TEST, true) && SignalIrqfd(scene.vm)
             ? ExitRole::kMeasured
             : ExitRole::kUnexpected;
}

constexpr Scenario kFastScenarios[] = {
    {.name = "fast/tscdeadline_write",
     .summary = "WRMSR of a far IA32_TSC_DEADLINE",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_tscdeadline,
     .modes = kPrivileged,
     .knobs = "irqchip=split",
     .prepare = StartApics},
    {.name = "fast/x2apic_icr",
     .summary = "WRMSR of ICR: an interrupt to oneself, which stays pending",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_wrmsr,
     .modes = kPrivileged,
     .arguments = {kX2apicIcr, kIcrAssert | WS_APIC_VECTOR},
     .knobs = "irqchip=split",
     .prepare = StartApics},
    {.name = "fast/hlt_pending",
     .summary = "STI, HLT with an interrupt pending, its handler with EOI",
     .proof = "the engine's halt_exits counter moves once an iteration",
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_hlt_pending,
     .modes = kPrivileged,
     .arguments = {kIcrAssert | kIcrToSelf | WS_APIC_VECTOR, 0},
     .counter = Counter::kHaltExits,
     .knobs = "irqchip=split",
     .prepare = StartApics},
    {.name = "fast/preemption_timer",
     .summary = "a TSC deadline while the guest spins: from it to the handler",
     .proof = kHandled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_deadline,
     .modes = kPrivileged,
     .arguments = {kTimerTicks, 0},
     .interrupts_on = true,
     .needs = Capability::kSharedTimeStamp,
     .knobs = "irqchip=split",
     .prepare = StartApics,
     .count = Delivered},
};

constexpr Scenario kIrqScenarios[] = {
    {.name = "irq/inject_msi",
     .summary = "OUT, the caller sends an MSI, its handler's first stamp",
     .proof = kHandledAfterOut,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kDelivery,
     .payload = Payload::k_await_irq,
     .modes = kAllModes,
     .interrupts_on = true,
     .on_exit = OnSendMsi,
     .knobs = "irqchip=split",
     .prepare = StartApics},
    {.name = "irq/irqfd",
     .summary = "OUT, the caller signals an irqfd, its handler's first stamp",
     .proof = kHandledAfterOut,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kDelivery,
     .payload = Payload::k_await_irq,
     .modes = kAllModes,
     .interrupts_on = true,
     .on_exit = OnSignalIrqfd,
     .knobs = "irqchip=split",
     .prepare = StartIrqfd},
    {.name = "irq/irqfd_to_handler",
     .summary = "from a peer's signal of an irqfd to the spinning guest's "
                "handler",
     .proof = kHandled,
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kPeerIrq,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_await_peer,
     .modes = kAllModes,
     .interrupts_on = true,
     .needs = Capability::kSharedTimeStamp,
     .max_block = kSlowBlock,
     .knobs = "irqchip=split",
     .prepare = StartIrqfd,
     .count = Delivered,
     .needs_two_cpus = true,
     .peer_raise = SignalIrqfd},
    {.name = "irq/self_ipi",
     .summary = "WRMSR of ICR to oneself, to the handler's first stamp",
     .proof = kHandled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_self_ipi,
     .modes = kPrivileged,
     .arguments = {kIcrAssert | kIcrToSelf | WS_APIC_VECTOR, 0},
     .interrupts_on = true,
     .knobs = "irqchip=split",
     .prepare = StartApics,
     .count = Delivered},
    {.name = "irq/ipi",
     .summary = "WRMSR of ICR to vCPU 1, which spins, to its handler's stamp",
     .vmexit_test = "ipi",
     .proof = kHandled,
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kPeerVcpu,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_ipi,
     .modes = kPrivileged,
     .arguments = {kIcrAssert | WS_APIC_VECTOR, 1},
     .needs = Capability::kConcurrentVcpus,
     .max_block = kSlowBlock,
     .knobs = "irqchip=split",
     .prepare = StartApics,
     .count = Delivered,
     .peer_payload = Payload::k_peer_spin,
     .needs_two_cpus = true},
    {.name = "irq/ipi_halted",
     .summary = "the same with vCPU 1 in HLT",
     .vmexit_test = "ipi_halt",
     .proof = kHandled,
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kPeerVcpu,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_ipi,
     .modes = kPrivileged,
     .arguments = {kIcrAssert | WS_APIC_VECTOR, 1},
     .needs = Capability::kConcurrentVcpus,
     .max_block = kSlowBlock,
     .knobs = "irqchip=split",
     .prepare = StartApics,
     .count = Delivered,
     .peer_payload = Payload::k_peer_halt},
    {.name = "irq/hlt_wake_polled",
     .summary = "from a peer's irqfd to the halted guest's handler, polled for",
     .proof = kHandledPolled,
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kPeerIrq,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_await_peer_halted,
     .modes = kPrivileged,
     .interrupts_on = true,
     .needs = Capability::kSharedTimeStamp,
     .max_block = kSlowBlock,
     .knobs = "irqchip=split,halt_poll_ns=1000000",
     .prepare = StartIrqfd,
     .count = Delivered,
     .second = SecondCounter::kMoves,
     .second_counter = Counter::kHaltPollSuccesses,
     .needs_two_cpus = true,
     .peer_raise = SignalIrqfd},
    {.name = "irq/hlt_wake",
     .summary = "the same without polling: the vCPU's thread sleeps",
     .proof = kHandledSlept,
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kPeerIrq,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_await_peer_halted,
     .modes = kPrivileged,
     .interrupts_on = true,
     .needs = Capability::kSharedTimeStamp,
     .max_block = kSlowBlock,
     .knobs = "irqchip=split,halt_poll_ns=0",
     .prepare = StartIrqfd,
     .count = Delivered,
     .second = SecondCounter::kStill,
     .second_counter = Counter::kHaltPollSuccesses,
     .peer_raise = SignalIrqfd},
    {.name = "irq/eoi",
     .summary = "WRMSR of EOI with an interrupt in service",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_eoi,
     .modes = kPrivileged,
     .arguments = {kIcrAssert | kIcrToSelf | WS_HELD_VECTOR, 0},
     .interrupts_on = true,
     .knobs = "irqchip=split",
     .prepare = StartApics},
    {.name = "irq/timer_deadline",
     .summary = "a TSC deadline while the guest halts: from it to the handler",
     .proof = kHandled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_deadline_halted,
     .modes = kPrivileged,
     .arguments = {kTimerTicks, 0},
     .interrupts_on = true,
     .needs = Capability::kSharedTimeStamp,
     .knobs = "irqchip=split",
     .prepare = StartApics,
     .count = Delivered},
};

}  // namespace

bool StartApics(VmOps& vm) {
  constexpr std::uint64_t kEnableX2apic = 3u << 10;  // IA32_APIC_BASE 11, 10
  constexpr std::uint32_t kTpr = 0x80;
  constexpr std::uint32_t kSvr = 0xf0;
  constexpr std::uint32_t kSvrEnabled = 0x1ff;
  constexpr std::uint32_t kLvtTimer = 0x320;
  constexpr std::uint32_t kTscDeadline = 2u << 17;
  auto* const irqchip = FeatureOf<Irqchip>(vm);
  if (irqchip == nullptr) return false;
  for (std::uint32_t i = 0; i < vm.vcpu_count(); ++i) {
    VcpuOps& vcpu = vm.vcpu(i);
    if (vcpu.fetch_registers(kSpecialRegisters) != Result::kOk) return false;
    vcpu.registers().special.apic_base |= kEnableX2apic;
    vcpu.registers().dirty |= kSpecialRegisters;
    LapicState lapic;
    if (vcpu.commit_registers() != Result::kOk ||
        irqchip->get_lapic(i, &lapic) != Result::kOk) {
      return false;
    }
    lapic.Set(kTpr, 0);
    lapic.Set(kSvr, kSvrEnabled);
    lapic.Set(kLvtTimer, kTscDeadline | WS_APIC_VECTOR);
    if (irqchip->set_lapic(i, lapic) != Result::kOk) return false;
  }
  return true;
}

std::uint64_t Delivered(VmOps& vm) {
  std::uint32_t count = 0;
  const std::byte* const at =
      vm.memory().At(WS_MAILBOX_DELIVERED, sizeof(count));
  if (at != nullptr) __builtin_memcpy(&count, at, sizeof(count));
  return count;
}

ScenarioList FastScenarios() { return kFastScenarios; }
ScenarioList ApicIrqScenarios() { return kIrqScenarios; }

}  // namespace worldswitch
