// VMX operation of one CPU: whether it can be had, VMXON, VMXOFF, and all that
// was changed on the way put back.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_ENABLE_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_ENABLE_H_

#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/vmx_intel/native/vmx_instruction.h"
#include "backends/vmx_intel/vmx_capability.h"

namespace worldswitch {

// Whether CPUID and IA32_FEATURE_CONTROL allow VMXON ("Enabling and Entering
// VMX Operation"). False: *why. Changes nothing.
bool VmxUsable(const char** why);

// The capability MSRs of this CPU. Only where VmxUsable.
VmxCapabilities ReadVmxCapabilities();

class VmxOperation {
 public:
  constexpr VmxOperation() = default;
  VmxOperation(const VmxOperation&) = delete;
  VmxOperation& operator=(const VmxOperation&) = delete;

  bool active() const { return active_; }
  // VMXON. An unlocked IA32_FEATURE_CONTROL is set and locked, which nobody can
  // undo before a reset; anything else that was changed is put back by Stop,
  // and where this fails. False: *why.
  bool Start(const HostServices& host, const VmxCapabilities& capabilities,
             const char** why);
  // VMXOFF. No VMCS is current any more. Puts CR0, CR4, GDTR, IDTR and LDTR
  // back: a VM exit leaves 64-KiB limits and a null LDTR behind.
  void Stop();

 private:
  bool active_ = false;
  void* region_ = nullptr;
  const HostServices* host_ = nullptr;
  std::uint64_t cr0_ = 0;
  std::uint64_t cr4_ = 0;
  ring0::TablePointer gdtr_ = {};
  ring0::TablePointer idtr_ = {};
  std::uint16_t ldtr_ = 0;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_ENABLE_H_
