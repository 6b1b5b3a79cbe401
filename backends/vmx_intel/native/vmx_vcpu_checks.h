// What a vCPU on VMX does beyond the contract's clauses: a delivery that was
// interrupted is done again, faults come before interrupts, what the guest must
// not have it does not get.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_VCPU_CHECKS_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_VCPU_CHECKS_H_

#include "backends/native/native_backend.h"
#include "native/checks.h"

namespace worldswitch {

void RunVmxVcpuChecks(NativeBackend& backend, CheckSink& sink);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_VCPU_CHECKS_H_
