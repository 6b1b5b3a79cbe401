#include "backends/kvm/exit_decode.h"

#include <array>
#include <cerrno>
#include <cstring>

namespace worldswitch {
namespace {

struct ExitKind {
  const char* name;
  ExitReason reason;
  bool completed_by_next_run = false;
};

// Indexed by KVM_EXIT_*. The codes are part of the kernel's ABI.
constexpr std::array<ExitKind, 42> kExitKinds = {{
    {"KVM_EXIT_UNKNOWN", ExitReason::kUnknown},
    {"KVM_EXIT_EXCEPTION", ExitReason::kException},
    {"KVM_EXIT_IO", ExitReason::kIo, true},
    {"KVM_EXIT_HYPERCALL", ExitReason::kHypercall, true},
    {"KVM_EXIT_DEBUG", ExitReason::kDebug},
    {"KVM_EXIT_HLT", ExitReason::kHlt},
    {"KVM_EXIT_MMIO", ExitReason::kMmio, true},
    {"KVM_EXIT_IRQ_WINDOW_OPEN", ExitReason::kIrqWindow},
    {"KVM_EXIT_SHUTDOWN", ExitReason::kShutdown},
    {"KVM_EXIT_FAIL_ENTRY", ExitReason::kEntryFailure},
    {"KVM_EXIT_INTR", ExitReason::kInterrupted},
    {"KVM_EXIT_SET_TPR", ExitReason::kSetTpr},
    {"KVM_EXIT_TPR_ACCESS", ExitReason::kTprAccess},
    {"KVM_EXIT_S390_SIEIC", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_S390_RESET", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_DCR", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_NMI", ExitReason::kNmi},
    {"KVM_EXIT_INTERNAL_ERROR", ExitReason::kInternalError},
    {"KVM_EXIT_OSI", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_PAPR_HCALL", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_S390_UCONTROL", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_WATCHDOG", ExitReason::kWatchdog},
    {"KVM_EXIT_S390_TSCH", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_EPR", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_SYSTEM_EVENT", ExitReason::kSystemEvent},
    {"KVM_EXIT_S390_STSI", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_IOAPIC_EOI", ExitReason::kIoapicEoi},
    {"KVM_EXIT_HYPERV", ExitReason::kHyperv, true},
    {"KVM_EXIT_ARM_NISV", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_X86_RDMSR", ExitReason::kRdmsr, true},
    {"KVM_EXIT_X86_WRMSR", ExitReason::kWrmsr, true},
    {"KVM_EXIT_DIRTY_RING_FULL", ExitReason::kDirtyRingFull},
    {"KVM_EXIT_AP_RESET_HOLD", ExitReason::kApReset, true},
    {"KVM_EXIT_X86_BUS_LOCK", ExitReason::kBusLock, true},
    {"KVM_EXIT_XEN", ExitReason::kXen, true},
    {"KVM_EXIT_RISCV_SBI", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_RISCV_CSR", ExitReason::kOtherArchitecture},
    {"KVM_EXIT_NOTIFY", ExitReason::kNotify},
    {"KVM_EXIT_LOONGARCH_IOCSR", ExitReason::kOtherArchitecture},
    // A memory fault comes with a failed KVM_RUN; without one it is not known.
    {"KVM_EXIT_MEMORY_FAULT", ExitReason::kUnknown},
    {"KVM_EXIT_TDX", ExitReason::kUnknown, true},
    {"KVM_EXIT_ARM_SEA", ExitReason::kOtherArchitecture},
}};
static_assert(kExitKinds[kKvmExitArmSea].name != nullptr);

// kvm_run has no member of this name in older headers, but the place is fixed.
KvmMemoryFault MemoryFaultOf(const kvm_run& run) {
  KvmMemoryFault fault;
  std::memcpy(&fault, run.padding, sizeof(fault));
  return fault;
}

void DecodeMsr(kvm_run& run, Exit* exit) {
  exit->msr.index = run.msr.index;
  exit->msr.engine_reason = run.msr.reason;
  // __u64 is `unsigned long long` and uint64_t `unsigned long` here, of one
  // size and alignment. The page is the kernel's: nobody on this side reads
  // through the one type what was written through the other.
  exit->msr.data = reinterpret_cast<std::uint64_t*>(&run.msr.data);
  exit->msr.inject_gp = &run.msr.error;
}

const std::uint64_t* AsWords(const __u64* words) {
  return reinterpret_cast<const std::uint64_t*>(words);
}

}  // namespace

const char* KvmExitName(std::uint64_t code) {
  return code < kExitKinds.size() ? kExitKinds[code].name
                                  : "KVM_EXIT_<unknown>";
}

bool IsCompletedByNextRun(std::uint32_t exit_reason) {
  return exit_reason >= kExitKinds.size() ||
         kExitKinds[exit_reason].completed_by_next_run;
}

Exit DecodeRareExit(kvm_run& run) {
  const std::uint32_t code = run.exit_reason;
  Exit exit = MakeExit(
      code < kExitKinds.size() ? kExitKinds[code].reason : ExitReason::kUnknown,
      code);
  switch (code) {
    case KVM_EXIT_UNKNOWN:
      exit.entry_failure = {.hardware_reason = run.hw.hardware_exit_reason,
                            .cpu = ~0u};
      break;
    case KVM_EXIT_EXCEPTION:
      exit.exception = {.vector = run.ex.exception,
                        .error_code = run.ex.error_code};
      break;
    case KVM_EXIT_IO:
      return DecodeIoExit(run);
    case KVM_EXIT_MMIO:
      return DecodeMmioExit(run);
    case KVM_EXIT_HYPERCALL:
      exit.hypercall = {
          .number = run.hypercall.nr,
          .arguments = AsWords(run.hypercall.args),
          .result = reinterpret_cast<std::uint64_t*>(&run.hypercall.ret),
          .argument_count = 6};
      break;
    case KVM_EXIT_DEBUG:
      exit.debug = {.pc = run.debug.arch.pc,
                    .dr6 = run.debug.arch.dr6,
                    .dr7 = run.debug.arch.dr7,
                    .exception = run.debug.arch.exception};
      break;
    case KVM_EXIT_FAIL_ENTRY:
      exit.entry_failure = {
          .hardware_reason = run.fail_entry.hardware_entry_failure_reason,
          .cpu = run.fail_entry.cpu};
      break;
    case KVM_EXIT_INTR:
      exit.error.error_number = EINTR;
      break;
    case KVM_EXIT_TPR_ACCESS:
      exit.tpr_access = {.rip = run.tpr_access.rip,
                         .is_write = run.tpr_access.is_write != 0};
      break;
    case KVM_EXIT_INTERNAL_ERROR:
      exit.internal_error = {.suberror = run.internal.suberror,
                             .data_count = run.internal.ndata,
                             .data = AsWords(run.internal.data)};
      break;
    case KVM_EXIT_SYSTEM_EVENT:
      exit.system_event = {.type = run.system_event.type,
                           .data_count = run.system_event.ndata,
                           .data = AsWords(run.system_event.data)};
      break;
    case KVM_EXIT_IOAPIC_EOI:
      exit.ioapic_eoi.vector = run.eoi.vector;
      break;
    case KVM_EXIT_HYPERV:
      exit.opaque = &run.hyperv;
      break;
    case KVM_EXIT_XEN:
      exit.opaque = &run.xen;
      break;
    case KVM_EXIT_X86_RDMSR:
    case KVM_EXIT_X86_WRMSR:
      DecodeMsr(run, &exit);
      break;
    case KVM_EXIT_NOTIFY:
      exit.notify.flags = run.notify.flags;
      break;
    default:
      break;
  }
  return exit;
}

Exit DecodeFailedRun(const kvm_run& run, int error_number) {
  if (error_number == EINTR) {
    return MakeExit(ExitReason::kInterrupted, KVM_EXIT_INTR, EINTR);
  }
  if (error_number == EAGAIN) {
    return ForBackend(MakeExit(ExitReason::kRetry, run.exit_reason, EAGAIN));
  }
  if ((error_number == EFAULT || error_number == EHWPOISON) &&
      run.exit_reason == kKvmExitMemoryFault) {
    const KvmMemoryFault fault = MemoryFaultOf(run);
    Exit exit = MakeExit(ExitReason::kMemoryFault, kKvmExitMemoryFault);
    exit.memory_fault = {.gpa = fault.gpa,
                         .size = fault.size,
                         .flags = fault.flags,
                         .error_number = error_number};
    return exit;
  }
  return MakeExit(ExitReason::kError, run.exit_reason, error_number);
}

}  // namespace worldswitch
