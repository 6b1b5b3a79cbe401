// One departure from the guest, as every backend reports it.
//
// An Exit is a small tagged value: the generic reason, its payload and the raw
// code of whoever caused it. It borrows and never allocates: data pointers lead
// into the page that the backend shares with its engine, and stay good until
// the next `run` of the same vCPU. What costs a fetch (rip, instruction length,
// interruptibility, vendor qualification) is not in here; ask
// VcpuOps::exit_detail.
//
// Part of the contract floor: freestanding, no allocation, no exceptions.

#ifndef WORLDSWITCH_CORE_EXIT_H_
#define WORLDSWITCH_CORE_EXIT_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch {

// Why the guest was left, in words that hold for every backend.
enum class ExitReason : std::uint8_t {
  kUnknown = 0,        // not known to this backend; `raw` says what it was
  kIo,                 // IN, OUT, INS, OUTS on a port nobody inside claimed
  kMmio,               // access to guest-physical memory nobody backs
  kRdmsr,              // RDMSR handed to the caller
  kWrmsr,              // WRMSR handed to the caller
  kHlt,                // HLT
  kShutdown,           // triple fault
  kHypercall,          // VMCALL or VMMCALL handed to the caller
  kCpuid,              // CPUID, on backends that hand it out
  kControlRegister,    // MOV to or from CR0, CR3, CR4, CR8
  kDebugRegister,      // MOV to or from a debug register
  kXsetbv,             // XSETBV
  kCacheControl,       // WBINVD, INVD
  kTimeStamp,          // RDTSC, RDTSCP
  kPause,              // PAUSE, or the pause filter
  kMonitorMwait,       // MONITOR, MWAIT
  kException,          // an intercepted exception of the guest
  kPageFault,          // nested page fault that is neither MMIO nor handled
  kPreemptionTimer,    // the VMX-preemption timer ran out
  kExternalInterrupt,  // an interrupt of the host
  kNmi,                // an NMI of the host
  kDebug,              // breakpoint or single step that the caller asked for
  kSetTpr,             // TPR changed below the caller's threshold
  kTprAccess,          // TPR access reporting
  kIoapicEoi,          // EOI of a level-triggered interrupt, split irqchip
  kApReset,            // AP reset hold
  kSystemEvent,        // the guest asked for reset, shutdown, ...
  kWatchdog,           // the engine's watchdog timer ran out
  kDirtyRingFull,      // the dirty ring wants harvesting
  kBusLock,            // a bus lock was detected
  kNotify,             // no VM exit for longer than the notify window
  kMemoryFault,        // the host could not back an access (EFAULT, EHWPOISON)
  kHyperv,             // a Hyper-V enlightenment wants the caller
  kXen,                // a Xen hypercall wants the caller
  kOtherArchitecture,  // a code that the header defines for another CPU
  kInternalError,      // the engine gave up on an instruction
  kEntryFailure,       // the processor refused the entry; see entry_failure
  // From here on no guest instruction caused the return; see IsForHandler.
  kIrqWindow,    // the guest can take an external interrupt now
  kNmiWindow,    // the guest can take an NMI now
  kInterrupted,  // a kick or a signal; nothing of the guest is pending
  kRetry,        // not runnable yet (for example waiting for SIPI)
  kError,        // `run` itself failed; see error
  kCount
};

inline constexpr std::size_t kExitReasonCount =
    static_cast<std::size_t>(ExitReason::kCount);

// The name of a reason without its k, for example "Io" or "IrqWindow".
const char* ExitReasonName(ExitReason reason);

// In the order in which KVM has them, so that they are copied in one piece.
struct IoExit {
  bool is_write;      // true for OUT and OUTS
  std::uint8_t size;  // of one element: 1, 2 or 4 bytes
  std::uint16_t port;
  std::uint32_t count;  // elements; 1 unless a REP string instruction
  void* data;           // count * size bytes; write them for IN before next run
};

struct MmioExit {
  std::uint64_t gpa;  // guest-physical address
  void* data;         // length bytes; write them for a read before next run
  std::uint32_t length;
  bool is_write;
};

struct MsrExit {
  std::uint32_t index;
  std::uint32_t engine_reason;  // why the engine hands it out, raw
  std::uint64_t* data;          // WRMSR: the value; RDMSR: write it here
  std::uint8_t* inject_gp;      // set to 1 to have #GP(0) raised instead
};

struct HypercallExit {
  std::uint64_t number;
  const std::uint64_t* arguments;  // argument_count values, or null
  std::uint64_t* result;           // null where the engine takes none
  std::uint32_t argument_count;
};

struct CpuidExit {
  std::uint32_t leaf;
  std::uint32_t subleaf;
  // Write RAX, RBX, RCX and RDX here, in that order, before the next run;
  // null where the engine takes none.
  std::uint64_t* result;
};

struct TimeStampExit {
  // Write the time stamp, EDX:EAX as one value, to result[0] before the next
  // run, and for RDTSCP also IA32_TSC_AUX to result[1]; null where the engine
  // takes none.
  std::uint64_t* result;
  bool is_rdtscp;
};

struct RegisterAccessExit {  // kControlRegister, kDebugRegister
  std::uint8_t number;       // CR or DR number
  std::uint8_t gpr;          // the general register, in ModRM order
  bool is_write;             // MOV to CR or DR
};

struct DebugExit {
  std::uint64_t pc;
  std::uint64_t dr6;
  std::uint64_t dr7;
  std::uint32_t exception;  // vector: 1 (#DB) or 3 (#BP)
};

struct ExceptionExit {
  std::uint32_t vector;
  std::uint32_t error_code;
};

struct PageFaultExit {
  std::uint64_t gpa;
  std::uint64_t access;  // raw: VMX exit qualification or SVM exitinfo1
};

struct MemoryFaultExit {
  std::uint64_t gpa;
  std::uint64_t size;
  std::uint64_t flags;        // raw KVM_MEMORY_EXIT_FLAG_*
  std::int32_t error_number;  // EFAULT or EHWPOISON
};

struct EntryFailureExit {
  std::uint64_t hardware_reason;  // VMX exit reason or SVM exit code, raw
  std::uint32_t cpu;              // host CPU number, ~0u where unknown
};

struct InternalErrorExit {
  std::uint32_t suberror;
  std::uint32_t data_count;
  const std::uint64_t* data;  // data_count values
};

struct SystemEventExit {
  std::uint32_t type;
  std::uint32_t data_count;
  const std::uint64_t* data;  // data_count values
};

struct TprAccessExit {
  std::uint64_t rip;
  bool is_write;
};

struct IoapicEoiExit {
  std::uint8_t vector;
};

struct NotifyExit {
  std::uint32_t flags;
};

struct ErrorExit {            // kError, kInterrupted, kRetry
  std::int32_t error_number;  // errno of the entry, 0 where there is none
};

struct Exit {
  ExitReason reason = ExitReason::kUnknown;
  // The backend has something left to do with it: VcpuOps::handle_exit comes
  // before anything else.
  bool for_backend = false;
  // The backend's own code: KVM_EXIT_*, the VMX basic exit reason, or the SVM
  // EXITCODE. Always filled; the only word for an exit that is kUnknown.
  std::uint64_t raw = 0;
  union {
    ErrorExit error;
    IoExit io;
    MmioExit mmio;
    MsrExit msr;
    HypercallExit hypercall;
    CpuidExit cpuid;
    TimeStampExit time_stamp;
    RegisterAccessExit register_access;
    DebugExit debug;
    ExceptionExit exception;
    PageFaultExit page_fault;
    MemoryFaultExit memory_fault;
    EntryFailureExit entry_failure;
    InternalErrorExit internal_error;
    SystemEventExit system_event;
    TprAccessExit tpr_access;
    IoapicEoiExit ioapic_eoi;
    NotifyExit notify;
    const void* opaque;  // kHyperv, kXen: the engine's own structure
  };
};

// An exit without payload; error_number for the three that carry one.
inline Exit MakeExit(ExitReason reason, std::uint64_t raw = 0,
                     std::int32_t error_number = 0) {
  Exit exit;
  exit.reason = reason;
  exit.raw = raw;
  exit.error.error_number = error_number;
  return exit;
}
static_assert(sizeof(Exit) <= 48, "an Exit is copied per world switch");

// The same exit, left to handle_exit.
inline Exit ForBackend(Exit exit) {
  exit.for_backend = true;
  return exit;
}

// True: whoever serves exits gets it as it is. Else the backend or the loop
// looks at it first, and may keep it.
inline bool IsForHandler(const Exit& exit) {
  return !exit.for_backend && exit.reason < ExitReason::kIrqWindow;
}

// What exit_detail can tell about the last exit. Fetching costs, so nothing of
// it is fetched unasked.
enum class ExitDetail : std::uint8_t {
  kRip,                   // of the instruction that exited, where known
  kInstructionLength,     // bytes
  kRflags,                // of the guest
  kInterruptFlag,         // RFLAGS.IF, 0 or 1
  kInterruptShadow,       // 1 while STI or MOV SS blocks interrupts
  kGuestPhysicalAddress,  // of a nested page fault or MMIO access
  kVmxQualification,      // VMX exit qualification
  kSvmInfo1,              // SVM EXITINFO1
  kSvmInfo2,              // SVM EXITINFO2
  kBusLock,  // 1 if the guest locked the bus before it; where that is watched
};

// A value that the backend may not be able to give.
struct OptionalValue {
  bool known = false;
  std::uint64_t value = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_EXIT_H_
