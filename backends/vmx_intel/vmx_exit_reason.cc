#include "backends/vmx_intel/vmx_exit_reason.h"

namespace worldswitch {
namespace {

using Reason = VmxExitReason;

constexpr std::uint64_t kDebugVector = 1;
constexpr std::uint64_t kDeviceNotAvailableVector = 7;
constexpr std::uint64_t kPageFaultVector = 14;

constexpr VmxExitInfo kExits[] = {
    {Reason::kExceptionOrNmi, "Exception or non-maskable interrupt (NMI)"},
    {Reason::kExternalInterrupt, "External interrupt"},
    {Reason::kTripleFault, "Triple fault"},
    {Reason::kInitSignal, "INIT signal"},
    {Reason::kStartupIpi, "Start-up IPI (SIPI)", VmxSipiQualification::kAll},
    {Reason::kIoSmi, "I/O system-management interrupt (SMI)"},
    {Reason::kOtherSmi, "Other SMI"},
    {Reason::kInterruptWindow, "Interrupt window"},
    {Reason::kNmiWindow, "NMI window"},
    {Reason::kTaskSwitch, "Task switch", VmxTaskSwitchQualification::kAll},
    {Reason::kCpuid, "CPUID"},
    {Reason::kGetsec, "GETSEC"},
    {Reason::kHlt, "HLT"},
    {Reason::kInvd, "INVD"},
    {Reason::kInvlpg, "INVLPG", VmxLinearAddressQualification::kAll},
    {Reason::kRdpmc, "RDPMC"},
    {Reason::kRdtsc, "RDTSC"},
    {Reason::kRsm, "RSM"},
    {Reason::kVmcall, "VMCALL"},
    {Reason::kVmclear, "VMCLEAR", VmxDisplacementQualification::kAll},
    {Reason::kVmlaunch, "VMLAUNCH"},
    {Reason::kVmptrld, "VMPTRLD", VmxDisplacementQualification::kAll},
    {Reason::kVmptrst, "VMPTRST", VmxDisplacementQualification::kAll},
    {Reason::kVmread, "VMREAD", VmxDisplacementQualification::kAll},
    {Reason::kVmresume, "VMRESUME"},
    {Reason::kVmwrite, "VMWRITE", VmxDisplacementQualification::kAll},
    {Reason::kVmxoff, "VMXOFF"},
    {Reason::kVmxon, "VMXON", VmxDisplacementQualification::kAll},
    {Reason::kControlRegisterAccess, "Control-register accesses",
     VmxCrQualification::kAll},
    {Reason::kMovDr, "MOV DR", VmxDrQualification::kAll},
    {Reason::kIoInstruction, "I/O instruction", VmxIoQualification::kAll},
    {Reason::kRdmsr, "RDMSR"},
    {Reason::kWrmsr, "WRMSR"},
    {Reason::kEntryFailureGuestState,
     "VM-entry failure due to invalid guest state",
     VmxInvalidGuestStateQualification::kAll},
    {Reason::kEntryFailureMsrLoading, "VM-entry failure due to MSR loading",
     VmxMsrLoadQualification::kAll},
    {Reason::kMwait, "MWAIT", VmxMwaitQualification::kAll},
    {Reason::kMonitorTrapFlag, "Monitor trap flag"},
    {Reason::kMonitor, "MONITOR"},
    {Reason::kPause, "PAUSE"},
    {Reason::kEntryFailureMachineCheck,
     "VM-entry failure due to machine-check event"},
    {Reason::kTprBelowThreshold, "TPR below threshold"},
    {Reason::kApicAccess, "APIC access", VmxApicAccessQualification::kAll},
    {Reason::kVirtualizedEoi, "Virtualized EOI",
     VmxVirtualizedEoiQualification::kAll},
    {Reason::kGdtrOrIdtrAccess, "Access to GDTR or IDTR",
     VmxDisplacementQualification::kAll},
    {Reason::kLdtrOrTrAccess, "Access to LDTR or TR",
     VmxDisplacementQualification::kAll},
    {Reason::kEptViolation, "EPT violation",
     VmxEptViolationQualification::kAll},
    {Reason::kEptMisconfiguration, "EPT misconfiguration"},
    {Reason::kInvept, "INVEPT", VmxDisplacementQualification::kAll},
    {Reason::kRdtscp, "RDTSCP"},
    {Reason::kPreemptionTimer, "VMX-preemption timer expired"},
    {Reason::kInvvpid, "INVVPID", VmxDisplacementQualification::kAll},
    {Reason::kWbinvd, "WBINVD or WBNOINVD"},
    {Reason::kXsetbv, "XSETBV"},
    {Reason::kApicWrite, "APIC write", VmxApicWriteQualification::kAll},
    {Reason::kRdrand, "RDRAND"},
    {Reason::kInvpcid, "INVPCID", VmxDisplacementQualification::kAll},
    {Reason::kVmfunc, "VMFUNC"},
    {Reason::kEncls, "ENCLS"},
    {Reason::kRdseed, "RDSEED"},
    {Reason::kPageModificationLogFull, "Page-modification log full",
     VmxPmlFullQualification::kAll},
    {Reason::kXsaves, "XSAVES", VmxDisplacementQualification::kAll},
    {Reason::kXrstors, "XRSTORS", VmxDisplacementQualification::kAll},
    {Reason::kPconfig, "PCONFIG"},
    {Reason::kSppEvent, "SPP-related event", VmxSppQualification::kAll},
    {Reason::kUmwait, "UMWAIT"},
    {Reason::kTpause, "TPAUSE"},
    {Reason::kLoadiwkey, "LOADIWKEY"},
    {Reason::kEnclv, "ENCLV"},
    {Reason::kEnqcmdPasidFailure, "ENQCMD PASID translation failure"},
    {Reason::kEnqcmdsPasidFailure, "ENQCMDS PASID translation failure"},
    {Reason::kBusLock, "Bus lock"},
    {Reason::kInstructionTimeout, "Instruction timeout",
     VmxInstructionTimeoutQualification::kAll},
    {Reason::kSeamcall, "SEAMCALL"},
    {Reason::kTdcall, "TDCALL"},
    {Reason::kRdmsrlist, "RDMSRLIST", VmxMsrIndexQualification::kAll},
    {Reason::kWrmsrlist, "WRMSRLIST", VmxMsrIndexQualification::kAll},
    {Reason::kUrdmsr, "URDMSR", VmxMsrIndexQualification::kAll},
    {Reason::kUwrmsr, "UWRMSR", VmxMsrIndexQualification::kAll},
    {Reason::kRdmsrImmediate, "RDMSR with an immediate",
     VmxMsrIndexQualification::kAll},
    {Reason::kWrmsrnsImmediate, "WRMSRNS with an immediate",
     VmxMsrIndexQualification::kAll},
};

constexpr bool IsAscending() {
  for (std::size_t i = 1; i < std::size(kExits); ++i) {
    if (kExits[i - 1].reason >= kExits[i].reason) return false;
  }
  return true;
}
static_assert(IsAscending());

}  // namespace

std::span<const VmxExitInfo> AllVmxExits() { return kExits; }

const VmxExitInfo* FindVmxExit(std::uint16_t basic) {
  for (const VmxExitInfo& exit : kExits) {
    if (static_cast<std::uint16_t>(exit.reason) == basic) return &exit;
  }
  return nullptr;
}

BitFields VmxQualificationFields(const VmxExitInfo& exit,
                                 std::uint64_t interruption) {
  if (exit.reason != Reason::kExceptionOrNmi) return exit.qualification;
  if (!VmxInterruption::kValid.IsSet(interruption) ||
      VmxInterruption::kType.Of(interruption) == 2) {  // an NMI
    return {};
  }
  switch (VmxInterruption::kVector.Of(interruption)) {
    case kDebugVector:
      return VmxDebugQualification::kAll;
    case kDeviceNotAvailableVector:
      return VmxXfdQualification::kAll;
    case kPageFaultVector:
      return VmxLinearAddressQualification::kAll;
    default:
      return {};
  }
}

}  // namespace worldswitch
