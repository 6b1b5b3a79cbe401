#include "backends/svm_amd/svm_backend.h"

#include <utility>

#include "backends/svm_amd/svm_exit_text.h"

namespace worldswitch {
namespace {

constexpr char kName[] = "svm_amd";

}  // namespace

SvmBackend::SvmBackend(std::shared_ptr<const KvmSystem> system, int kick_signal)
    : KvmBackend(kName, std::move(system), kick_signal) {}

absl::Status SvmBackend::ApplyKnobs(const KnobSettings& settings,
                                    KvmVmOptions* options) const {
  options->describe_hardware_exit = DescribeSvmExit;
  return KvmBackend::ApplyKnobs(settings, options);
}

KvmVendor SvmVendor() {
  return {.name = kName,
          .summary = "SVM of AMD, over /dev/kvm on the engine kvm_amd",
          .technology = "SVM",
          .engine = KvmEngine::kAmd,
          .make = [](std::shared_ptr<const KvmSystem> system,
                     int kick_signal) -> std::unique_ptr<Backend> {
            return std::make_unique<SvmBackend>(std::move(system), kick_signal);
          }};
}

BackendFactory SvmBackendFactory() { return KvmVendorFactory(SvmVendor()); }

}  // namespace worldswitch
