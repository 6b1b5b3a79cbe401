// The feature MSRs of KVM: what an engine can offer to guests, told as the MSRs
// in which a processor would tell it (KVM_CAP_GET_MSR_FEATURES). Those of VMX
// among them are what a nested hypervisor would see.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_FEATURE_MSRS_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_FEATURE_MSRS_H_

#include <cstdint>
#include <map>

#include "absl/status/statusor.h"
#include "backends/kvm/kvm_system.h"
#include "core/host/capability_report.h"

namespace worldswitch {

// Value by index, of those that the engine both lists and reads. Unimplemented:
// the engine lacks the capability.
absl::StatusOr<std::map<std::uint32_t, std::uint64_t>> KvmFeatureMsrs(
    const KvmSystem& system);

// Those that belong to no vendor's virtualization, as KVM has them.
CapabilityReport KvmFeatureReport(const CapabilitySources& sources);

// Fills in the KVM part of `sources`.
void AddKvmSources(const KvmSystem& system, CapabilitySources* sources);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_FEATURE_MSRS_H_
