// How an entry can fail, as a type, and what is said about it: the failure by
// the manual's name, then every field of the VMCS (SDM 3C, "VM-Entry Failures
// During or After Loading Guest State", "VM Instruction Error Numbers").
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_FAILURE_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_FAILURE_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/vmx_intel/native/vmcs.h"
#include "core/exit.h"
#include "core/text_line.h"

namespace worldswitch {

struct VmxEntryFailure {
  enum class Kind : std::uint8_t {
    kNone,
    kFailInvalid,  // no current VMCS
    kFailValid,    // instruction_error says why; controls or host state, mostly
    kEntryFailed,  // exit_reason and qualification say why; guest state, mostly
  };
  Kind kind = Kind::kNone;
  std::uint32_t instruction_error = 0;
  std::uint32_t exit_reason = 0;  // with bit 31
  std::uint64_t qualification = 0;
};

// As the contract has it, kEntryFailure. hardware_reason: the exit-reason field
// (bit 31 set) of an entry that failed late; the VM-instruction error of
// VMfailValid; 0 of VMfailInvalid. raw: the basic exit reason, or 0.
Exit ExitOf(const VmxEntryFailure& failure);

// "VMfailValid 7: VM entry with invalid control field(s)", or "entry failure
// 33, VM-entry failure due to invalid guest state, qualification 4: the VMCS
// link pointer".
TextLine TextOf(const VmxEntryFailure& failure);

// Every field of the current VMCS that the CPU has, one a line.
void DumpVmcs(Vmcs& vmcs, const HostServices& host);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_FAILURE_H_
