// Exits that the engine handles itself, in the kernel.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"
#include "core/features/dirty_log.h"
#include "core/features/memory_slots.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kHypercallVapicPollIrq = 1;  // KVM: does nothing
constexpr std::uint64_t kCr0Am = 1u << 18;  // host-owned, harmless at CPL 0
constexpr std::uint64_t kCr4Mce = 1u << 6;  // host-owned, harmless

constexpr const char* kFaultCounted =
    "the engine's pf_taken counter moves once an iteration";

constexpr std::uint32_t kAliasSlot = 1;
constexpr std::uint64_t kAliasBytes = std::uint64_t{WS_ALIAS_PAGES} * 4096;

// With shadow page tables KVM maps up to 8 pages at one fault.
constexpr std::uint64_t kPrefetched = std::uint64_t{8} * 4096;

void DiscardTouched(VmOps& vm) {
  vm.discard_memory(WS_TOUCH, std::uint64_t{WS_TOUCH_PAGES} * 4096);
}

void DiscardHuge(VmOps& vm) {
  vm.discard_memory(WS_HUGE, std::uint64_t{WS_HUGE_REGIONS} * WS_HUGE_STRIDE);
}

// The pages at WS_TOUCH, present in the host, once more at WS_ALIAS.
bool AddAlias(VmOps& vm, SlotFlags flags) {
  auto* slots = FeatureOf<MemorySlots>(vm);
  std::byte* const host = vm.memory().At(WS_TOUCH, kAliasBytes);
  if (slots == nullptr || host == nullptr) return false;
  __builtin_memset(host, 1, kAliasBytes);
  return slots->add({.slot = kAliasSlot,
                     .gpa = WS_ALIAS,
                     .bytes = kAliasBytes,
                     .host = host,
                     .flags = flags}) == Result::kOk;
}

bool PrepareAlias(VmOps& vm) { return AddAlias(vm, kPlainSlot); }

void RenewAlias(VmOps& vm) {
  FeatureOf<MemorySlots>(vm)->remove(kAliasSlot);
  AddAlias(vm, kPlainSlot);
}

bool PrepareWatchedAlias(VmOps& vm) {
  return FeatureOf<DirtyLog>(vm) != nullptr && AddAlias(vm, kLogDirtyPages);
}

// Asking for the log write-protects the pages it names.
void WatchAliasAgain(VmOps& vm) {
  std::uint64_t bitmap[DirtyBitmapWords(kAliasBytes)];
  FeatureOf<DirtyLog>(vm)->get(kAliasSlot, bitmap,
                               DirtyBitmapWords(kAliasBytes));
}

constexpr Scenario kScenarios[] = {
    {.name = "kernel/cpuid",
     .summary = "CPUID leaf 0",
     .vmexit_test = "cpuid",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_cpuid,
     .modes = kAllModes},
    {.name = "kernel/hypercall",
     .summary = "VMCALL on Intel, VMMCALL on AMD: KVM_HC_VAPIC_POLL_IRQ",
     .vmexit_test = "vmcall",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_vmcall,
     .modes = kAllModes,
     .arguments = {kHypercallVapicPollIrq, 0}},
    {.name = "kernel/rdmsr",
     .summary = "RDMSR of IA32_TSC_ADJUST",
     .vmexit_test = "rd_tsc_adjust_msr",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_rdmsr,
     .modes = kPrivileged,
     .arguments = {kMsrTscAdjust, 0}},
    {.name = "kernel/wrmsr",
     .summary = "WRMSR of 0 to IA32_TSC_ADJUST",
     .vmexit_test = "wr_tsc_adjust_msr",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_wrmsr,
     .modes = kPrivileged,
     .arguments = {kMsrTscAdjust, 0}},
    {.name = "kernel/mov_cr0",
     .summary = "MOV to CR0 that toggles AM, which the host owns",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_cr0,
     .modes = kPrivileged,
     .arguments = {kCr0Am, 0}},
    {.name = "kernel/mov_cr3",
     .summary = "MOV to CR3 of its own value (no exit with EPT or NPT)",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_cr3,
     .modes = kPrivileged},
    {.name = "kernel/mov_cr4",
     .summary = "MOV to CR4 that toggles MCE, which the host owns",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_cr4,
     .modes = kPrivileged,
     .arguments = {kCr4Mce, 0}},
    {.name = "kernel/mov_cr8",
     .summary = "MOV of 0 to CR8 (no exit with a TPR shadow)",
     .vmexit_test = "mov_to_cr8",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_cr8,
     .modes = kRing0},
    {.name = "kernel/mov_dr",
     .summary =
         "MOV to DR7 that arms nothing (KVM exits on the first, then not)",
     .vmexit_test = "mov_dr",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mov_dr,
     .modes = kPrivileged},
    {.name = "kernel/wbinvd",
     .summary = "WBINVD",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_wbinvd,
     .modes = kPrivileged},
    {.name = "kernel/pause",
     .summary = "PAUSE (no exit short of the pause-loop or pause-filter limit)",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_pause,
     .modes = kAllModes},
    {.name = "kernel/page_fault_first_touch",
     .summary = "a write to a 4 KiB page that the host has not backed yet",
     .proof = kFaultCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_touch,
     .modes = kAllModes,
     .arguments = {WS_TOUCH, 4096},
     .needs = Capability::kDiscardMemory,
     .counter = Counter::kPageFaultsTaken,
     .before_block = DiscardTouched,
     .max_block = WS_TOUCH_PAGES},
    {.name = "kernel/page_fault_refault",
     .summary = "a write to a page that the host has, but not mapped (its slot "
                "is new)",
     .proof = kFaultCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_touch,
     .modes = kAllModes,
     .arguments = {WS_ALIAS, kPrefetched},
     .counter = Counter::kPageFaultsTaken,
     .before_block = RenewAlias,
     .max_block = kAliasBytes / kPrefetched,
     .prepare = PrepareAlias},
    {.name = "kernel/page_fault_write_protect",
     .summary = "a write to a page that the dirty log watches",
     .proof = kFaultCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_touch,
     .modes = kAllModes,
     .arguments = {WS_ALIAS, 4096},
     .counter = Counter::kPageFaultsTaken,
     .before_block = WatchAliasAgain,
     .max_block = WS_ALIAS_PAGES,
     .prepare = PrepareWatchedAlias},
    {.name = "kernel/page_fault_huge",
     .summary =
         "a write to 2 MiB that the host has not backed yet, advised for "
         "one page of 2 MiB",
     .proof = kFaultCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_touch,
     .modes = kRing0 | kRing3,
     .arguments = {WS_HUGE, WS_HUGE_STRIDE},
     .needs = Capability::kDiscardMemory,
     .counter = Counter::kPageFaultsTaken,
     .before_block = DiscardHuge,
     .max_block = WS_HUGE_REGIONS,
     .memory_bytes = WS_HUGE_MEMORY_BYTES,
     .huge_pages = true,
     .why_not = kAboveOneMib},
};

}  // namespace

ScenarioList KernelScenarios() { return kScenarios; }

}  // namespace worldswitch
