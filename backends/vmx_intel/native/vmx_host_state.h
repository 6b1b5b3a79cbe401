// The host-state area: what a VM exit loads (SDM 3C, "Loading Host State").
// Read from the CPU as it is, so nothing is assumed about who hosts us.
//
// What an exit loads otherwise than it was: GDTR and IDTR limits become 0xFFFF,
// LDTR null, DR7 0x400, IA32_DEBUGCTL 0; and a data selector with TI or RPL set
// cannot be loaded by an exit, so null is. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_HOST_STATE_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_HOST_STATE_H_

#include <cstdint>

#include "backends/vmx_intel/native/vmcs.h"
#include "backends/vmx_intel/native/vmx_controls.h"

namespace worldswitch {

// All of it but RSP and RIP. Call it when the VMCS was made, and again when the
// host's CR3, CR4 or segment bases may have changed.
void WriteHostState(Vmcs& vmcs, const VmxControlWords& controls);

// Written once: where an exit goes on, and on which stack.
void WriteHostEntry(Vmcs& vmcs, std::uint64_t rip, std::uint64_t rsp);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_HOST_STATE_H_
