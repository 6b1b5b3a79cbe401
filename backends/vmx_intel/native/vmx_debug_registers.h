// DR0 to DR3, DR6 and DR7 of a guest. VMX switches DR7 alone, so the guest's
// MOVs exit and the others are kept here; they are in the CPU only while the
// guest has a breakpoint armed, and runs.
//
// DR6 is in the CPU all along: #DB sets it there. One CPU. Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_DEBUG_REGISTERS_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_DEBUG_REGISTERS_H_

#include <cstdint>

#include "backends/vmx_intel/native/vmcs.h"

namespace worldswitch {

class VmxDebugRegisters {
 public:
  // number: 0 to 3, 6 or 7. False: #GP, the upper half of DR6 or DR7.
  bool Write(Vmcs& vmcs, unsigned number, std::uint64_t value);
  std::uint64_t Read(Vmcs& vmcs, unsigned number) const;
  // DR7 enables a breakpoint.
  bool armed() const { return armed_; }
  // Exchanges DR0 to DR3 of host and guest: once before a run, once behind it.
  void Exchange();

 private:
  std::uint64_t address_[4] = {};
  bool armed_ = false;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_DEBUG_REGISTERS_H_
