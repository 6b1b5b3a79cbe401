// Exits that the engine handles itself, in the kernel.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kMsrTscAdjust = 0x3b;        // IA32_TSC_ADJUST
constexpr std::uint64_t kHypercallVapicPollIrq = 1;  // KVM: does nothing
constexpr std::uint64_t kCr0Am = 1u << 18;  // host-owned, harmless at CPL 0
constexpr std::uint64_t kCr4Mce = 1u << 6;  // host-owned, harmless

constexpr Scenario kScenarios[] = {
    {.name = "kernel/cpuid",
     .summary = "CPUID leaf 0",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_cpuid,
     .modes = kAllModes},
    {.name = "kernel/hypercall",
     .summary = "VMCALL on Intel, VMMCALL on AMD: KVM_HC_VAPIC_POLL_IRQ",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_vmcall,
     .modes = kAllModes,
     .arguments = {kHypercallVapicPollIrq, 0}},
    {.name = "kernel/rdmsr",
     .summary = "RDMSR of IA32_TSC_ADJUST",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_rdmsr,
     .modes = kPrivileged,
     .arguments = {kMsrTscAdjust, 0}},
    {.name = "kernel/wrmsr",
     .summary = "WRMSR of 0 to IA32_TSC_ADJUST",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_wrmsr,
     .modes = kPrivileged,
     .arguments = {kMsrTscAdjust, 0}},
    {.name = "kernel/mov_cr0",
     .summary = "MOV to CR0 that toggles AM, which the host owns",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_cr0,
     .modes = kPrivileged,
     .arguments = {kCr0Am, 0}},
    {.name = "kernel/mov_cr3",
     .summary = "MOV to CR3 of its own value (no exit with EPT or NPT)",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_cr3,
     .modes = kPrivileged},
    {.name = "kernel/mov_cr4",
     .summary = "MOV to CR4 that toggles MCE, which the host owns",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_cr4,
     .modes = kPrivileged,
     .arguments = {kCr4Mce, 0}},
    {.name = "kernel/mov_cr8",
     .summary = "MOV of 0 to CR8 (no exit with a TPR shadow)",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_cr8,
     .modes = kRing0},
    {.name = "kernel/mov_dr",
     .summary =
         "MOV to DR7 that arms nothing (KVM exits on the first, then not)",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_dr,
     .modes = kPrivileged},
    {.name = "kernel/wbinvd",
     .summary = "WBINVD",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_wbinvd,
     .modes = kPrivileged},
    {.name = "kernel/pause",
     .summary = "PAUSE (no exit short of the pause-loop or pause-filter limit)",
     .proof = kCounted,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_pause,
     .modes = kAllModes},
    {.name = "kernel/page_fault_first_touch",
     .summary = "a write to a 4 KiB page that the host has not backed yet",
     .proof = "the engine's pf_taken counter moves once an iteration",
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_touch,
     .modes = kAllModes,
     .needs = Capability::kDiscardMemory,
     .counter = Counter::kPageFaultsTaken,
     .refault = true,
     .max_block = WS_TOUCH_PAGES},
};

}  // namespace

ScenarioList KernelScenarios() { return kScenarios; }

}  // namespace worldswitch
