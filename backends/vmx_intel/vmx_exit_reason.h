// VMX basic exit reasons by number and by name (SDM vol. 3D, appendix C), with
// the format of the exit qualification that goes with each.
//
//   const VmxExitInfo* info = FindVmxExit(BasicReason(vmread_exit_reason));
//   VmxQualificationFields(*info, interruption_information)
//
// Freestanding: constant data and pure functions, no allocation.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_EXIT_REASON_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_EXIT_REASON_H_

#include <cstdint>
#include <span>

#include "backends/vmx_intel/vmx_exit_qualification.h"
#include "core/bit_field.h"

namespace worldswitch {

enum class VmxExitReason : std::uint16_t {
  kExceptionOrNmi = 0,
  kExternalInterrupt = 1,
  kTripleFault = 2,
  kInitSignal = 3,
  kStartupIpi = 4,
  kIoSmi = 5,
  kOtherSmi = 6,
  kInterruptWindow = 7,
  kNmiWindow = 8,
  kTaskSwitch = 9,
  kCpuid = 10,
  kGetsec = 11,
  kHlt = 12,
  kInvd = 13,
  kInvlpg = 14,
  kRdpmc = 15,
  kRdtsc = 16,
  kRsm = 17,
  kVmcall = 18,
  kVmclear = 19,
  kVmlaunch = 20,
  kVmptrld = 21,
  kVmptrst = 22,
  kVmread = 23,
  kVmresume = 24,
  kVmwrite = 25,
  kVmxoff = 26,
  kVmxon = 27,
  kControlRegisterAccess = 28,
  kMovDr = 29,
  kIoInstruction = 30,
  kRdmsr = 31,
  kWrmsr = 32,
  kEntryFailureGuestState = 33,
  kEntryFailureMsrLoading = 34,
  kMwait = 36,
  kMonitorTrapFlag = 37,
  kMonitor = 39,
  kPause = 40,
  kEntryFailureMachineCheck = 41,
  kTprBelowThreshold = 43,
  kApicAccess = 44,
  kVirtualizedEoi = 45,
  kGdtrOrIdtrAccess = 46,
  kLdtrOrTrAccess = 47,
  kEptViolation = 48,
  kEptMisconfiguration = 49,
  kInvept = 50,
  kRdtscp = 51,
  kPreemptionTimer = 52,
  kInvvpid = 53,
  kWbinvd = 54,
  kXsetbv = 55,
  kApicWrite = 56,
  kRdrand = 57,
  kInvpcid = 58,
  kVmfunc = 59,
  kEncls = 60,
  kRdseed = 61,
  kPageModificationLogFull = 62,
  kXsaves = 63,
  kXrstors = 64,
  kPconfig = 65,
  kSppEvent = 66,
  kUmwait = 67,
  kTpause = 68,
  kLoadiwkey = 69,
  kEnclv = 70,
  kEnqcmdPasidFailure = 72,
  kEnqcmdsPasidFailure = 73,
  kBusLock = 74,
  kInstructionTimeout = 75,
  kSeamcall = 76,
  kTdcall = 77,
  kRdmsrlist = 78,
  kWrmsrlist = 79,
  kUrdmsr = 80,
  kUwrmsr = 81,
  kRdmsrImmediate = 84,
  kWrmsrnsImmediate = 85,
};

struct VmxExitInfo {
  VmxExitReason reason = {};
  const char* name = nullptr;        // the manual's: "I/O instruction"
  HostBitFields qualification = {};  // empty: the exit leaves none
};

// All of them, by ascending number.
std::span<const VmxExitInfo> AllVmxExits();

// The one of a basic exit reason; null for a number the manual does not give.
const VmxExitInfo* FindVmxExit(std::uint16_t basic);

// Bits 15:0 of the exit-reason field.
constexpr std::uint16_t BasicReason(std::uint64_t exit_reason) {
  return static_cast<std::uint16_t>(VmxExitReasonField::kBasic.Of(exit_reason));
}

// The fields of the qualification. Of an exception's they depend on which it
// was, so the VM-exit interruption information is needed; 0: not known.
BitFields VmxQualificationFields(const VmxExitInfo& exit,
                                 std::uint64_t interruption);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_EXIT_REASON_H_
