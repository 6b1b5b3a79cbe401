// The catalogue: every scenario, what it does and how it is proven.

#include <cstddef>
#include <cstdint>

#include "bench/scenario.h"

namespace worldswitch {
namespace {

constexpr GuestModeSet kReal = ModeBit(GuestMode::kReal);
constexpr GuestModeSet kRing0 = ModeBit(GuestMode::kRing0);
constexpr GuestModeSet kRing3 = ModeBit(GuestMode::kRing3);
constexpr GuestModeSet kAllModes = kReal | kRing0 | kRing3;
constexpr GuestModeSet kPrivileged = kReal | kRing0;

constexpr std::uint64_t kMsrTscAdjust = 0x3b;        // IA32_TSC_ADJUST
constexpr std::uint64_t kHypercallVapicPollIrq = 1;  // KVM: does nothing
constexpr std::uint64_t kCr0Am = 1u << 18;  // host-owned, harmless at CPL 0
constexpr std::uint64_t kCr4Mce = 1u << 6;  // host-owned, harmless

bool IsPort(const Exit& exit, std::uint16_t port, bool is_write) {
  return exit.reason == ExitReason::kIo && exit.io.port == port &&
         exit.io.is_write == is_write;
}

ExitRole OnPioOut(ExitScene&, Exit& exit) {
  return IsPort(exit, WS_PORT_TEST, true) && exit.io.size == 1
             ? ExitRole::kMeasured
             : ExitRole::kUnexpected;
}

ExitRole OnPioIn(ExitScene&, Exit& exit) {
  if (!IsPort(exit, WS_PORT_TEST, false) || exit.io.size != 1) {
    return ExitRole::kUnexpected;
  }
  *static_cast<std::uint8_t*>(exit.io.data) = 0x5a;
  return ExitRole::kMeasured;
}

ExitRole OnPioString(ExitScene&, Exit& exit) {
  return IsPort(exit, WS_PORT_STRING, true) ? ExitRole::kMeasured
                                            : ExitRole::kUnexpected;
}

ExitRole OnMmio(Exit& exit, bool is_write) {
  if (exit.reason != ExitReason::kMmio || exit.mmio.gpa != WS_MMIO_HOLE ||
      exit.mmio.is_write != is_write || exit.mmio.length != 4) {
    return ExitRole::kUnexpected;
  }
  if (!is_write) __builtin_memset(exit.mmio.data, 0x5a, exit.mmio.length);
  return ExitRole::kMeasured;
}
ExitRole OnMmioRead(ExitScene&, Exit& exit) { return OnMmio(exit, false); }
ExitRole OnMmioWrite(ExitScene&, Exit& exit) { return OnMmio(exit, true); }

ExitRole OnHlt(ExitScene&, Exit& exit) {
  return exit.reason == ExitReason::kHlt ? ExitRole::kMeasured
                                         : ExitRole::kUnexpected;
}

ExitRole OnIrqWindow(ExitScene& scene, Exit& exit) {
  if (IsPort(exit, WS_PORT_ARM, true)) {
    if (!scene.control) scene.vcpu.request_irq_window(true);
    return ExitRole::kAuxiliary;
  }
  if (exit.reason != ExitReason::kIrqWindow) return ExitRole::kUnexpected;
  scene.memory[WS_MAILBOX_FLAG] = std::byte{1};
  return ExitRole::kMeasured;
}

ExitRole OnInject(ExitScene& scene, Exit& exit) {
  if (!IsPort(exit, WS_PORT_TEST, true)) return ExitRole::kUnexpected;
  scene.context.PostIrq(WS_IRQ_VECTOR);
  return ExitRole::kMeasured;
}

ExitRole OnNmi(ExitScene& scene, Exit& exit) {
  if (!IsPort(exit, WS_PORT_TEST, true)) return ExitRole::kUnexpected;
  scene.context.PostNmi();
  return ExitRole::kMeasured;
}

// Reads all registers after the exit and gives one back changed, as a VMM does
// that emulates something.
ExitRole OnRegisters(ExitScene& scene, Exit& exit) {
  if (!IsPort(exit, WS_PORT_TEST, true)) return ExitRole::kUnexpected;
  if (scene.vcpu.fetch_registers(kAllRegisters) != Result::kOk) {
    return ExitRole::kUnexpected;
  }
  RegisterFile& registers = scene.vcpu.registers();
  registers.general.rax ^= 1;
  registers.dirty |= kGeneralRegisters;
  return ExitRole::kMeasured;
}

void KickSelf(VcpuOps& vcpu) { vcpu.kick_handle().Kick(); }

bool RunIsInterrupted(VcpuOps& vcpu) {
  return vcpu.run().reason == ExitReason::kInterrupted;
}

constexpr const char* kSeen =
    "run returns this exit, with its port or address, once an iteration";
constexpr const char* kCounted =
    "the engine's exits counter moves once an iteration, against a control";

constexpr Scenario kScenarios[] = {
    {.name = "control/empty",
     .summary = "two stamps with nothing between: what measuring costs",
     .proof = "the engine's exits counter does not move",
     .proof_kind = ProofKind::kNoExit,
     .modes = kAllModes},
    {.name = "control/loop",
     .summary = "the counting loop alone; batch is what one turn of it costs",
     .proof = "the engine's exits counter does not move",
     .proof_kind = ProofKind::kNoExit,
     .modes = kAllModes},
    {.name = "control/immediate_exit",
     .summary = "run with a kick pending: into the engine and back, no entry",
     .proof = "run returns Interrupted every time",
     .kind = ScenarioKind::kHostCall,
     .proof_kind = ProofKind::kHostSide,
     .host_call = RunIsInterrupted,
     .host_prepare = KickSelf},
    {.name = "control/ioctl",
     .summary = "ioctl(FIONREAD) on a pipe: a system call with an argument",
     .proof = "the call succeeds every time",
     .kind = ScenarioKind::kHostCall,
     .proof_kind = ProofKind::kHostSide},
    {.name = "control/getpid",
     .summary = "getppid: the cheapest system call",
     .proof = "the call gives the same answer every time",
     .kind = ScenarioKind::kHostCall,
     .proof_kind = ProofKind::kHostSide},
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
    {.name = "user/pio_in",
     .summary = "IN of a byte, served by the caller",
     .proof = kSeen,
     .payload = Payload::k_pio_in,
     .modes = kAllModes,
     .on_exit = OnPioIn},
    {.name = "user/pio_out",
     .summary = "OUT of a byte, served by the caller",
     .proof = kSeen,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnPioOut},
    {.name = "user/pio_string",
     .summary =
         "REP OUTSB of 16 bytes; as many exits as the engine makes of it",
     .proof = "run returns it, the same number of times for each iteration",
     .payload = Payload::k_pio_string,
     .modes = kAllModes,
     .on_exit = OnPioString},
    {.name = "user/mmio_read",
     .summary = "a 4-byte load where no memory is",
     .proof = kSeen,
     .payload = Payload::k_mmio_read,
     .modes = kAllModes,
     .on_exit = OnMmioRead},
    {.name = "user/mmio_write",
     .summary = "a 4-byte store where no memory is",
     .proof = kSeen,
     .payload = Payload::k_mmio_write,
     .modes = kAllModes,
     .on_exit = OnMmioWrite},
    {.name = "user/hlt",
     .summary = "HLT without an in-kernel irqchip",
     .proof = kSeen,
     .payload = Payload::k_hlt,
     .modes = kPrivileged,
     .on_exit = OnHlt},
    {.name = "user/irq_window",
     .summary = "STI with the interrupt window requested, until it has come",
     .proof = "run returns IrqWindow once an iteration",
     .payload = Payload::k_irq_window,
     .modes = kPrivileged,
     .needs = Capability::kIrqWindow,
     .on_exit = OnIrqWindow},
    {.name = "user/kick",
     .summary = "from a peer's Kick() to run's return, the guest spinning",
     .proof = "run returns Interrupted once for each kick",
     .kind = ScenarioKind::kKick,
     .proof_kind = ProofKind::kHostSide,
     .payload = Payload::k_spin,
     .modes = kAllModes},
    {.name = "user/registers_ioctl",
     .summary = "OUT, then all registers read and one changed, by ioctl",
     .proof = kSeen,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnRegisters,
     .knob = "registers=ioctl"},
    {.name = "user/registers_sync",
     .summary = "OUT, then all registers read and one changed, by shared page",
     .proof = kSeen,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnRegisters,
     .knob = "registers=sync"},
    {.name = "irq/inject",
     .summary =
         "OUT, the caller injects vector 0x40, its handler's first stamp",
     .proof = "run returns the OUT, and the handler stamps, once an iteration",
     .proof_kind = ProofKind::kDelivery,
     .payload = Payload::k_interrupt,
     .modes = kAllModes,
     .interrupts_on = true,
     .needs = Capability::kIrqInjection,
     .on_exit = OnInject},
    {.name = "irq/nmi",
     .summary = "OUT, the caller injects an NMI, its handler's first stamp",
     .proof = "run returns the OUT, and the handler stamps, once an iteration",
     .proof_kind = ProofKind::kDelivery,
     .payload = Payload::k_interrupt,
     .modes = kAllModes,
     .needs = Capability::kNmiInjection,
     .on_exit = OnNmi},
};

bool CpuIsAmd() {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
  __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
  constexpr std::uint32_t kAuth = 0x68747541;  // "Auth" of AuthenticAMD
  constexpr std::uint32_t kHygo = 0x6f677948;  // "Hygo" of HygonGenuine
  return ebx == kAuth || ebx == kHygo;
}

}  // namespace

ScenarioList AllScenarios() {
  return {kScenarios, kScenarios + sizeof(kScenarios) / sizeof(kScenarios[0])};
}

const char* WhyNotInMode(const Scenario& scenario, GuestMode mode) {
  if ((scenario.modes & ModeBit(mode)) != 0) return nullptr;
  switch (mode) {
    case GuestMode::kReal:
      return "the instruction exists in 64-bit mode only";
    case GuestMode::kRing3:
      return "a privileged instruction: #GP at CPL 3";
    case GuestMode::kRing0:
      break;
  }
  return "not made for this mode";
}

Payload PayloadOf(const Scenario& scenario) {
  return scenario.payload == Payload::k_vmcall && CpuIsAmd()
             ? Payload::k_vmmcall
             : scenario.payload;
}

}  // namespace worldswitch
