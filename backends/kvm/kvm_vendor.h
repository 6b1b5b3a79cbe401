// What the vendor backends share: an open of /dev/kvm that insists on their
// engine, and their factories.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_VENDOR_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_VENDOR_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backends/kvm/kvm_backend.h"
#include "backends/kvm/kvm_engine.h"
#include "backends/kvm/kvm_system.h"

namespace worldswitch {

// What a backend is that stands on one engine alone.
struct KvmVendor {
  std::string name;        // of the backend: "vmx_intel"
  std::string summary;     // one line
  std::string technology;  // "VT-x"
  KvmEngine engine = KvmEngine::kUnknown;
  std::function<std::unique_ptr<Backend>(
      std::shared_ptr<const KvmSystem> system, int kick_signal)>
      make;
};

// Ok if `found`, behind `device`, is the vendor's engine. Otherwise says what
// it is, and which backend to take.
absl::Status CheckEngine(const KvmVendor& vendor, KvmEngine found,
                         const std::string& device);

BackendFactory KvmVendorFactory(const KvmVendor& vendor);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_VENDOR_H_
