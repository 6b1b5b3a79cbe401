#include "backends/kvm/kvm_vendor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kick_block.h"

namespace worldswitch {
namespace {

// The backend that an engine has for its own.
const char* BackendOf(KvmEngine engine) {
  switch (engine) {
    case KvmEngine::kIntel:
      return "vmx_intel";
    case KvmEngine::kAmd:
      return "svm_amd";
    default:
      return "kvm";
  }
}

absl::StatusOr<std::shared_ptr<const KvmSystem>> OpenEngine(
    const KvmVendor& vendor, const std::string& device) {
  absl::StatusOr<std::shared_ptr<const KvmSystem>> system =
      KvmSystem::Open(device);
  if (!system.ok()) return system.status();
  absl::Status fits = CheckEngine(vendor, (*system)->engine(), device);
  if (!fits.ok()) return fits;
  return system;
}

absl::Status Probe(const KvmVendor& vendor) {
  absl::StatusOr<std::shared_ptr<const KvmSystem>> system =
      OpenEngine(vendor, KvmSystem::kDefaultDevice);
  if (!system.ok()) return system.status();
  return (*system)->CreateVm().status();
}

absl::StatusOr<std::unique_ptr<Backend>> Create(const KvmVendor& vendor,
                                                const BackendSpec& spec) {
  absl::StatusOr<KvmBackendOptions> options = ParseKvmBackendOptions(spec);
  if (!options.ok()) return options.status();
  absl::Status status = KickBlock::PrepareSignal(
      options->kick_signal != 0 ? options->kick_signal
                                : KickBlock::DefaultSignal());
  if (!status.ok()) return status;
  absl::StatusOr<std::shared_ptr<const KvmSystem>> system =
      OpenEngine(vendor, options->device);
  if (!system.ok()) return system.status();
  return vendor.make(*std::move(system), options->kick_signal);
}

}  // namespace

absl::Status CheckEngine(const KvmVendor& vendor, KvmEngine found,
                         const std::string& device) {
  if (found == vendor.engine) return absl::OkStatus();
  const std::string what =
      found == KvmEngine::kUnknown
          ? absl::StrCat(
                "which engine is behind ", device,
                " is not known (no module of one is loaded, or two are)")
          : absl::StrCat("the engine behind ", device, " is ",
                         KvmEngineName(found));
  return absl::FailedPreconditionError(absl::StrCat(
      what, ", and ", vendor.name, " is for ", vendor.technology, " on ",
      KvmEngineName(vendor.engine), " alone; take backend ", BackendOf(found)));
}

BackendFactory KvmVendorFactory(const KvmVendor& vendor) {
  BackendFactory factory;
  factory.name = vendor.name;
  factory.summary = vendor.summary;
  factory.parameters = KvmBackendParameters();
  factory.probe = [vendor] { return Probe(vendor); };
  factory.create = [vendor](const BackendSpec& spec) {
    return Create(vendor, spec);
  };
  return factory;
}

}  // namespace worldswitch
