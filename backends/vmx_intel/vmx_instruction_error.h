// VM-instruction error numbers by name (SDM vol. 3C, "VM Instruction Error
// Numbers"): why a VMX instruction ended in VMfailValid.
//
// Freestanding: constant data and pure functions.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_INSTRUCTION_ERROR_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_INSTRUCTION_ERROR_H_

#include <cstdint>

namespace worldswitch {

// "VMRESUME with non-launched VMCS" for 5; null for a number the manual does
// not give. Numbers begin with 1, some are missing.
const char* VmxInstructionErrorName(std::uint64_t number);

inline constexpr std::uint64_t kHighestVmxInstructionError = 28;

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_INSTRUCTION_ERROR_H_
