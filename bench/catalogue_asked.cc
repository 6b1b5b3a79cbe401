// Exits that somebody asked for (MSRs, debugging, hypercalls to the caller),
// and instructions that an engine deals with in a way of its own.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"
#include "core/features/guest_debug.h"
#include "core/features/msr_exits.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kMapGpaRange = 12;  // KVM_HC_MAP_GPA_RANGE

// Leaves whose cost may differ: the engine computes some of it anew each time,
// or searches for long.
constexpr std::uint64_t kLeafCaches = 4;   // with subleaves
constexpr std::uint64_t kLeafXsave = 0xd;  // depends on XCR0
constexpr std::uint64_t kLeafSizes = 0x80000008;
constexpr std::uint64_t kLeafAbsent = 0x10000000;

// Every instruction of the loop exits.
constexpr std::uint32_t kSteppedBlock = 50;

constexpr const char* kMsrSeen =
    "run returns this exit, with the MSR's index, once an iteration";

bool DenyTscAdjust(VmOps& vm) {
  auto* const msrs = FeatureOf<MsrExits>(vm);
  const std::uint64_t denied = 0;
  const MsrFilterRange range = {.first = kMsrTscAdjust,
                                .count = 1,
                                .reads = true,
                                .writes = true,
                                .allowed = &denied};
  return msrs != nullptr && msrs->exit_on(kMsrFiltered) == Result::kOk &&
         msrs->set_filter(MsrFilterDefault::kAllow, &range, 1) == Result::kOk;
}

ExitRole OnRdmsr(ExitScene&, Exit& exit) {
  if (exit.reason != ExitReason::kRdmsr || exit.msr.index != kMsrTscAdjust) {
    return ExitRole::kUnexpected;
  }
  *exit.msr.data = 0;
  *exit.msr.inject_gp = 0;
  return ExitRole::kMeasured;
}

ExitRole OnWrmsr(ExitScene&, Exit& exit) {
  if (exit.reason != ExitReason::kWrmsr || exit.msr.index != kMsrTscAdjust) {
    return ExitRole::kUnexpected;
  }
  *exit.msr.inject_gp = 0;
  return ExitRole::kMeasured;
}

ExitRole OnMapGpa(ExitScene&, Exit& exit) {
  if (exit.reason != ExitReason::kHypercall ||
      exit.hypercall.number != kMapGpaRange ||
      exit.hypercall.arguments[0] != WS_TOUCH) {
    return ExitRole::kUnexpected;
  }
  *exit.hypercall.result = 0;
  return ExitRole::kMeasured;
}

// The marked instruction lies at `address` (guests/asked_payloads.inc).
bool IsMarked(const std::byte* memory, std::uint64_t address) {
  return address < WS_MEMORY_BYTES - 1 &&
         memory[address] == std::byte{WS_MARK_BYTE0} &&
         memory[address + 1] == std::byte{WS_MARK_BYTE1};
}
constexpr std::uint64_t kMarkedBytes = 2;

bool StartStepping(VmOps& vm) {
  auto* const debug = FeatureOf<GuestDebug>(vm);
  return debug != nullptr &&
         debug->set(0, {.single_step = true}) == Result::kOk;
}

// All the instructions of the loop are stepped over; one of them is measured.
ExitRole OnStep(ExitScene& scene, Exit& exit) {
  constexpr std::uint64_t kSingleStep = 1u << 14;  // DR6.BS
  if (exit.reason != ExitReason::kDebug ||
      (exit.debug.dr6 & kSingleStep) == 0) {
    return ExitRole::kUnexpected;
  }
  return IsMarked(scene.memory, exit.debug.pc - kMarkedBytes)
             ? ExitRole::kMeasured
             : ExitRole::kAuxiliary;
}

// Breakpoints on the two marked instructions of the payload that the vCPU is
// about to run: one in the loop of samples, one in that of batches.
bool SetBreakpoints(VmOps& vm) {
  constexpr std::uint32_t kMarks = 2;
  constexpr std::uint64_t kPayloadBytes = 1024;  // it is shorter
  auto* const debug = FeatureOf<GuestDebug>(vm);
  VcpuOps& vcpu = vm.vcpu(0);
  if (debug == nullptr ||
      vcpu.fetch_registers(kGeneralRegisters) != Result::kOk) {
    return false;
  }
  const std::uint64_t begin = vcpu.registers().general.rip;
  DebugRequest request;
  for (std::uint64_t at = begin; at < begin + kPayloadBytes; ++at) {
    if (!IsMarked(vm.memory().host, at)) continue;
    request.hardware[request.hardware_count++].address = at;
    if (request.hardware_count == kMarks) break;
  }
  // OnBreakpoint needs RIP each time.
  vcpu.registers().wanted |= kGeneralRegisters;
  return request.hardware_count == kMarks &&
         debug->set(0, request) == Result::kOk;
}

// The guest goes on behind the instruction, which does nothing anyway.
ExitRole OnBreakpoint(ExitScene& scene, Exit& exit) {
  if (exit.reason != ExitReason::kDebug ||
      !IsMarked(scene.memory, exit.debug.pc) ||
      scene.vcpu.fetch_registers(kGeneralRegisters) != Result::kOk) {
    return ExitRole::kUnexpected;
  }
  scene.vcpu.registers().general.rip += kMarkedBytes;
  scene.vcpu.registers().dirty |= kGeneralRegisters;
  return ExitRole::kMeasured;
}

constexpr Scenario kKernelScenarios[] = {
    {.name = "kernel/xsetbv",
     .summary = "XSETBV of XCR0's own value",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_xsetbv,
     .modes = kPrivileged,
     .prepare = StartXsave},
    {.name = "kernel/emulated_instruction",
     .summary = "OUTSB of a byte to port 0x4d0, which the engine has to decode "
                "and execute; kernel/pio_out is the same without",
     .proof =
         "the engine's insn_emulation counter moves once an iteration, against "
         "a control",
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_outs_port,
     .modes = kAllModes,
     .arguments = {kElcrMaster, 0},
     .counter = Counter::kInstructionsEmulated,
     .knobs = "irqchip=full"},
    {.name = "kernel/cpuid_leaf",
     .summary = "CPUID leaf 0xd (XSAVE); compare with leaf 0, kernel/cpuid",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_cpuid,
     .modes = kAllModes,
     .arguments = {kLeafXsave, 0}},
    {.name = "kernel/cpuid_leaf_4",
     .summary = "CPUID leaf 4 (caches), which has subleaves",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_cpuid,
     .modes = kAllModes,
     .arguments = {kLeafCaches, 0}},
    {.name = "kernel/cpuid_leaf_80000008",
     .summary = "CPUID leaf 0x80000008 (address sizes)",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_cpuid,
     .modes = kAllModes,
     .arguments = {kLeafSizes, 0}},
    {.name = "kernel/cpuid_leaf_absent",
     .summary = "CPUID leaf 0x10000000, which no entry answers",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_cpuid,
     .modes = kAllModes,
     .arguments = {kLeafAbsent, 0}},
    {.name = "kernel/cpuid_table_size",
     .summary = "CPUID leaf 0 as the last of 256 entries; compare with "
                "kernel/cpuid",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_cpuid,
     .modes = kAllModes,
     .knobs = "cpuid_entries=256"},
};

constexpr Scenario kUserScenarios[] = {
    {.name = "user/rdmsr",
     .summary = "RDMSR of IA32_TSC_ADJUST, which the MSR filter denies",
     .proof = kMsrSeen,
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_rdmsr,
     .modes = kPrivileged,
     .arguments = {kMsrTscAdjust, 0},
     .on_exit = OnRdmsr,
     .prepare = DenyTscAdjust},
    {.name = "user/wrmsr",
     .summary = "WRMSR of 0 to IA32_TSC_ADJUST, which the MSR filter denies",
     .proof = kMsrSeen,
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_wrmsr,
     .modes = kPrivileged,
     .arguments = {kMsrTscAdjust, 0},
     .on_exit = OnWrmsr,
     .prepare = DenyTscAdjust},
    {.name = "user/hypercall",
     .summary = "VMCALL on Intel, VMMCALL on AMD: KVM_HC_MAP_GPA_RANGE",
     .proof = "run returns Hypercall, with its number and page, once an "
              "iteration",
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_vmcall_map,
     .modes = kPrivileged,
     .arguments = {kMapGpaRange, WS_TOUCH},
     .on_exit = OnMapGpa,
     .knobs = "hypercall_exits=map_gpa_range",
     .why_not = "KVM takes no hypercalls from CPL 3 (KVM_EPERM)"},
    {.name = "user/debug_step",
     .summary = "one instruction under single step; as the stamps around it "
                "are stepped over too, only net and batch are its cost",
     .proof = "run returns Debug with DR6.BS, behind the instruction, once an "
              "iteration",
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_step,
     .modes = kAllModes,
     .on_exit = OnStep,
     .max_block = kSteppedBlock,
     .prepare = StartStepping},
    {.name = "user/debug_breakpoint",
     .summary = "a breakpoint in DR0 or DR1; the caller moves RIP behind it",
     .proof = "run returns Debug at the instruction's address, once an "
              "iteration",
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_breakpoint,
     .modes = kAllModes,
     .on_exit = OnBreakpoint,
     .prepare = SetBreakpoints},
};

}  // namespace

bool StartXsave(VmOps& vm) {
  constexpr std::uint64_t kCr4Osxsave = 1u << 18;
  VcpuOps& vcpu = vm.vcpu(0);
  if (vcpu.fetch_registers(kSpecialRegisters) != Result::kOk) return false;
  vcpu.registers().special.cr4 |= kCr4Osxsave;
  vcpu.registers().dirty |= kSpecialRegisters;
  return vcpu.commit_registers() == Result::kOk;
}

ScenarioList KernelAskedScenarios() { return kKernelScenarios; }
ScenarioList UserAskedScenarios() { return kUserScenarios; }

}  // namespace worldswitch
