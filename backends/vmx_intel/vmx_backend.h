// The backend `vmx_intel` over KVM: KvmBackend on the engine kvm_intel, with
// what is only true of VT-x. The running is backends/kvm's; its vCPUs are the
// same final type.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_BACKEND_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_BACKEND_H_

#include <memory>

#include "absl/status/status.h"
#include "backends/kvm/kvm_backend.h"
#include "backends/kvm/kvm_vendor.h"

namespace worldswitch {

class VmxBackend final : public KvmBackend {
 public:
  // system: of the engine kvm_intel.
  VmxBackend(std::shared_ptr<const KvmSystem> system, int kick_signal);

 protected:
  absl::Status ApplyKnobs(const KnobSettings& settings,
                          KvmVmOptions* options) const override;
};

// Name, engine and maker, as the factory has them.
KvmVendor VmxVendor();

BackendFactory VmxBackendFactory();

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_BACKEND_H_
