#include "backends/vmx_intel/vmx_backend.h"

#include <utility>

#include "backends/vmx_intel/vmx_exit_text.h"

namespace worldswitch {
namespace {

constexpr char kName[] = "vmx_intel";

}  // namespace

VmxBackend::VmxBackend(std::shared_ptr<const KvmSystem> system, int kick_signal)
    : KvmBackend(kName, std::move(system), kick_signal) {}

absl::Status VmxBackend::ApplyKnobs(const KnobSettings& settings,
                                    KvmVmOptions* options) const {
  options->describe_hardware_exit = DescribeVmxExit;
  return KvmBackend::ApplyKnobs(settings, options);
}

KvmVendor VmxVendor() {
  return {.name = kName,
          .summary = "VT-x of Intel, over /dev/kvm on the engine kvm_intel",
          .technology = "VT-x",
          .engine = KvmEngine::kIntel,
          .make = [](std::shared_ptr<const KvmSystem> system,
                     int kick_signal) -> std::unique_ptr<Backend> {
            return std::make_unique<VmxBackend>(std::move(system), kick_signal);
          }};
}

BackendFactory VmxBackendFactory() { return KvmVendorFactory(VmxVendor()); }

}  // namespace worldswitch
