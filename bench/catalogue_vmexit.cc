// What kvm-unit-tests' x86/vmexit measures and nothing else here does. Those
// of its tests that have a scenario of another origin are named there.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"
#include "bench/tsc.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kMsrKernelGsBase = 0xc0000102;  // IA32_KERNEL_GS_BASE
constexpr std::uint64_t kMsrSpecCtrl = 0x48;            // IA32_SPEC_CTRL
constexpr std::uint64_t kMsrPredCmd = 0x49;             // IA32_PRED_CMD
constexpr std::uint64_t kMsrTsxCtrl = 0x122;            // IA32_TSX_CTRL
constexpr std::uint64_t kIbrs = 1;
constexpr std::uint64_t kIbpb = 1;
constexpr std::uint64_t kCr0Wp = 1u << 16;
constexpr std::uint64_t kCr4Pge = 1u << 7;
constexpr std::uint64_t kNobodysPort = 0x1234;
constexpr std::uint64_t kTimerPort = 0x608;  // where QEMU has its PM timer
constexpr std::uint64_t kSoon = 3000;        // ticks, as vmexit has it
constexpr std::uint64_t kIcrSelf = kIcrAssert | kIcrToSelf | WS_APIC_VECTOR;

constexpr const char* kTurnsCounted =
    "vCPU 1 counts one turn an iteration (not that a PAUSE made an exit)";

bool IsLongIn(const Exit& exit, std::uint64_t port) {
  return exit.reason == ExitReason::kIo && exit.io.port == port &&
         !exit.io.is_write && exit.io.size == 4;
}

ExitRole OnInFromNobody(ExitScene&, Exit& exit) {
  if (!IsLongIn(exit, kNobodysPort)) return ExitRole::kUnexpected;
  __builtin_memset(exit.io.data, 0xff, 4);
  return ExitRole::kMeasured;
}

// A clock of 24 bits, as the PM timer of ACPI is (ACPI 6.5, 4.8.3.3); made of
// the TSC, so not of its rate.
ExitRole OnInFromTimer(ExitScene&, Exit& exit) {
  if (!IsLongIn(exit, kTimerPort)) return ExitRole::kUnexpected;
  const auto now = static_cast<std::uint32_t>(ReadTsc() >> 9 & 0xffffff);
  __builtin_memcpy(exit.io.data, &now, sizeof(now));
  return ExitRole::kMeasured;
}

constexpr Scenario kKernelScenarios[] = {
    {.name = "kernel/mov_from_cr8",
     .summary = "MOV from CR8 (no exit with a TPR shadow)",
     .vmexit_test = "mov_from_cr8",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_from_cr8,
     .modes = kRing0},
    {.name = "kernel/wrmsr_kernel_gs_base",
     .summary = "WRMSR of 0 to IA32_KERNEL_GS_BASE (KVM lets it through)",
     .vmexit_test = "wr_kernel_gs_base",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_wrmsr,
     .modes = kPrivileged,
     .arguments = {kMsrKernelGsBase, 0}},
    {.name = "kernel/wrmsr_tsx_ctrl",
     .summary = "WRMSR of 0 to IA32_TSX_CTRL",
     .vmexit_test = "wr_tsx_ctrl_msr",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_wrmsr,
     .modes = kPrivileged,
     .arguments = {kMsrTsxCtrl, 0}},
    {.name = "kernel/wrmsr_spec_ctrl",
     .summary = "two WRMSRs to IA32_SPEC_CTRL: IBRS on, and off again",
     .vmexit_test = "wr_ibrs_msr",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_wrmsr_twice,
     .modes = kPrivileged,
     .arguments = {kMsrSpecCtrl, kIbrs}},
    {.name = "kernel/wrmsr_pred_cmd",
     .summary = "WRMSR to IA32_PRED_CMD: an indirect branch barrier (IBPB)",
     .vmexit_test = "wr_ibpb_msr",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_wrmsr,
     .modes = kPrivileged,
     .arguments = {kMsrPredCmd, kIbpb}},
    {.name = "kernel/toggle_cr0_wp",
     .summary = "two MOVs to CR0: WP off, and on again",
     .vmexit_test = "toggle_cr0_wp",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_toggle_cr0,
     .modes = kPrivileged,
     .arguments = {kCr0Wp, 0}},
    {.name = "kernel/toggle_cr4_pge",
     .summary = "two MOVs to CR4: PGE on, and off again",
     .vmexit_test = "toggle_cr4_pge",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_toggle_cr4,
     .modes = kPrivileged,
     .arguments = {kCr4Pge, 0}},
    {.name = "kernel/pause_round_robin",
     .summary = "a turn to vCPU 1 and back, both waiting for it with PAUSE",
     .vmexit_test = "ple_round_robin",
     .proof = kTurnsCounted,
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kPeerVcpu,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_pass_turn,
     .modes = kAllModes,
     .needs = Capability::kConcurrentVcpus,
     .max_block = kSlowBlock,
     .knobs = "irqchip=split",
     .count = Delivered,
     .peer_payload = Payload::k_peer_turn,
     .needs_two_cpus = true},
};

constexpr Scenario kUserScenarios[] = {
    {.name = "user/pio_in_long",
     .summary = "IN of 4 bytes from a port that nobody has",
     .vmexit_test = "inl_from_qemu",
     .proof = kSeen,
     .payload = Payload::k_pio_in_long,
     .modes = kAllModes,
     .arguments = {kNobodysPort, 0},
     .on_exit = OnInFromNobody},
    {.name = "user/pio_in_timer",
     .summary = "IN of 4 bytes from a timer that the caller makes of its TSC",
     .vmexit_test = "inl_from_pmtimer",
     .proof = kSeen,
     .payload = Payload::k_pio_in_long,
     .modes = kAllModes,
     .arguments = {kTimerPort, 0},
     .on_exit = OnInFromTimer},
};

// What all that send an interrupt to themselves have in common.
constexpr Scenario SelfIpi(const char* name, const char* summary,
                           const char* vmexit_test, Payload payload,
                           GuestModeSet modes, bool by_icr) {
  return {.name = name,
          .summary = summary,
          .vmexit_test = vmexit_test,
          .proof = kHandled,
          .place = ScenarioPlace::kKvm,
          .proof_kind = ProofKind::kEngineCounter,
          .payload = payload,
          .modes = modes,
          .arguments = {by_icr ? kX2apicIcr : kX2apicSelfIpi,
                        by_icr ? kIcrSelf : WS_APIC_VECTOR},
          .interrupts_on = true,
          .knobs = "irqchip=split",
          .prepare = StartApics,
          .count = Delivered};
}

constexpr bool kByIcr = true;
constexpr bool kBySelfIpi = false;

constexpr Scenario kIrqScenarios[] = {
    {.name = "irq/deadline_past",
     .summary = "WRMSR of the present to IA32_TSC_DEADLINE, until its handler "
                "is over",
     .vmexit_test = "tscdeadline_immed",
     .proof = kHandled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_await_deadline,
     .modes = kPrivileged,
     .interrupts_on = true,
     .knobs = "irqchip=split",
     .prepare = StartApics,
     .count = Delivered},
    {.name = "irq/deadline_soon",
     .summary = "the same 3000 ticks ahead; the wait is part of it",
     .vmexit_test = "tscdeadline",
     .proof = kHandled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_await_deadline,
     .modes = kPrivileged,
     .arguments = {kSoon, 0},
     .interrupts_on = true,
     .knobs = "irqchip=split",
     .prepare = StartApics,
     .count = Delivered},
    SelfIpi("irq/self_ipi_sti_nop",
            "interrupts off, WRMSR of ICR to oneself, STI, until its handler "
            "is over",
            "self_ipi_sti_nop", Payload::k_self_ipi_sti_nop, kPrivileged,
            kByIcr),
    SelfIpi("irq/self_ipi_sti_hlt", "the same with HLT behind the STI",
            "self_ipi_sti_hlt", Payload::k_self_ipi_sti_hlt, kPrivileged,
            kByIcr),
    SelfIpi("irq/self_ipi_tpr",
            "CR8 up, WRMSR of ICR to oneself, CR8 down, until its handler is "
            "over",
            "self_ipi_tpr", Payload::k_self_ipi_tpr, kRing0, kByIcr),
    SelfIpi("irq/self_ipi_tpr_sti_nop",
            "the same with interrupts off before, and STI behind",
            "self_ipi_tpr_sti_nop", Payload::k_self_ipi_tpr_sti_nop, kRing0,
            kByIcr),
    SelfIpi("irq/self_ipi_tpr_sti_hlt", "the same with HLT behind the STI",
            "self_ipi_tpr_sti_hlt", Payload::k_self_ipi_tpr_sti_hlt, kRing0,
            kByIcr),
    SelfIpi("irq/x2apic_self_ipi_sti_nop",
            "irq/self_ipi_sti_nop by x2APIC's SELF IPI register",
            "x2apic_self_ipi_sti_nop", Payload::k_self_ipi_sti_nop, kPrivileged,
            kBySelfIpi),
    SelfIpi("irq/x2apic_self_ipi_sti_hlt",
            "irq/self_ipi_sti_hlt by x2APIC's SELF IPI register",
            "x2apic_self_ipi_sti_hlt", Payload::k_self_ipi_sti_hlt, kPrivileged,
            kBySelfIpi),
    SelfIpi("irq/x2apic_self_ipi_tpr",
            "irq/self_ipi_tpr by x2APIC's SELF IPI register",
            "x2apic_self_ipi_tpr", Payload::k_self_ipi_tpr, kRing0, kBySelfIpi),
    SelfIpi("irq/x2apic_self_ipi_tpr_sti_nop",
            "irq/self_ipi_tpr_sti_nop by x2APIC's SELF IPI register",
            "x2apic_self_ipi_tpr_sti_nop", Payload::k_self_ipi_tpr_sti_nop,
            kRing0, kBySelfIpi),
    SelfIpi("irq/x2apic_self_ipi_tpr_sti_hlt",
            "irq/self_ipi_tpr_sti_hlt by x2APIC's SELF IPI register",
            "x2apic_self_ipi_tpr_sti_hlt", Payload::k_self_ipi_tpr_sti_hlt,
            kRing0, kBySelfIpi),
};

}  // namespace

ScenarioList VmexitKernelScenarios() { return kKernelScenarios; }
ScenarioList VmexitUserScenarios() { return kUserScenarios; }
ScenarioList VmexitIrqScenarios() { return kIrqScenarios; }

}  // namespace worldswitch
