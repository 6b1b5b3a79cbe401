// The ring-0 backends as their host sees them: is this CPU one, what can it
// do, make a VM. One for each vendor; the image asks both.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_NATIVE_BACKEND_H_
#define WORLDSWITCH_BACKENDS_NATIVE_NATIVE_BACKEND_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"
#include "backends/native/native_knob.h"
#include "core/vm_ops.h"

namespace worldswitch {

// What a capability report tells, one at a time: a fact, or a control that was
// wanted and that the CPU does not have. key: one word
// ("refused.secondary.bit_10" with "PAUSE-loop exiting: wanted, and cannot be
// 1").
class ReportSink {
 public:
  virtual void Fact(const char* key, const char* text) = 0;

 protected:
  ~ReportSink() = default;
};

// A VM that its backend can destroy.
class NativeVm : public VmOps {
 public:
  // Explains the vCPU's last exit where it was a failed entry: the failure's
  // name, then every field by name and value, one a line.
  virtual void DumpState(std::uint32_t vcpu_index,
                         const HostServices& host) = 0;

 protected:
  ~NativeVm() = default;
};

class NativeBackend {
 public:
  virtual const char* name() const = 0;  // "vmx_intel" or "svm_amd"
  virtual NativeKnobTable knobs() const = 0;
  // Whether this CPU is one of the vendor's, and can be used; else *why.
  virtual bool Supported(const char** why) = 0;
  // VMXON, or EFER.SVME and VM_HSAVE_PA, on this CPU. False: *why, nothing
  // changed. Disable undoes it; the CPU is as it was before.
  virtual bool Enable(const HostServices& host, const char** why) = 0;
  virtual void Disable() = 0;
  virtual void Report(ReportSink& sink) = 0;
  // Null: *why. Only while enabled.
  virtual NativeVm* CreateVm(const VmNeeds& needs,
                             const NativeKnobValues& knobs,
                             const char** why) = 0;
  virtual void DestroyVm(NativeVm* vm) = 0;

 protected:
  ~NativeBackend() = default;
};

// Static objects, constant-initialized. They keep one enabled state each.
NativeBackend& NativeVmxBackend();  // backends/vmx_intel/native
NativeBackend& NativeSvmBackend();  // backends/svm_amd/native

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_NATIVE_NATIVE_BACKEND_H_
