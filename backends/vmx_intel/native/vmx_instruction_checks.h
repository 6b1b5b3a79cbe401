// VMX instructions that have to fail: VMfailInvalid, or VMfailValid with its
// own number (SDM 3C, "VM Instruction Error Numbers").
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_INSTRUCTION_CHECKS_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_INSTRUCTION_CHECKS_H_

#include "backends/native/host_services.h"
#include "backends/native/native_backend.h"
#include "native/checks.h"

namespace worldswitch {

void RunVmxInstructionChecks(NativeBackend& backend, const HostServices& host,
                             CheckSink& sink);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_INSTRUCTION_CHECKS_H_
