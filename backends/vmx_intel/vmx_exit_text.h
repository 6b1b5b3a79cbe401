// VMX exits in words, by the SDM's names.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_EXIT_TEXT_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_EXIT_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "backends/kvm/hardware_exit.h"

namespace worldswitch {

// "I/O instruction (exit reason 0x1e); exit qualification 0x3f80000: size 1
// byte, ..." with whatever else is told: interruption information, IDT-
// vectoring information, guest-physical address. Of a failed entry whose number
// has bit 31 clear: the VM-instruction error, for that is what KVM then gives.
std::string DescribeVmxExit(const HardwareExit& exit);

// "vector 14, type hardware exception, error code valid"; "" if not valid.
std::string DescribeVmxInterruption(std::uint64_t information);

// "VM-instruction error 7: VM entry with invalid control field(s)".
std::string DescribeVmxInstructionError(std::uint64_t number);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_EXIT_TEXT_H_
