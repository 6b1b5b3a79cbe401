// What a guest's CPUID says: the engine's own list, made right for one vCPU.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_CPUID_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_CPUID_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "backends/kvm/kvm_header.h"

namespace worldswitch {

// KVM_GET_SUPPORTED_CPUID on `kvm_fd`: what engine and processor can offer.
absl::StatusOr<std::vector<kvm_cpuid_entry2>> SupportedCpuid(int kvm_fd);

// `supported` with the APIC id of one vCPU wherever CPUID tells one: leaf 1,
// leaves 0xB and 0x1F, and AMD's 0x8000001E. Without this every vCPU would
// carry the id of the host CPU that answered. deadline_timer: leaf 1 offers the
// TSC deadline, which the engine leaves out of its list since it depends on an
// in-kernel local APIC.
std::vector<kvm_cpuid_entry2> CpuidForVcpu(
    std::vector<kvm_cpuid_entry2> supported, std::uint32_t apic_id,
    bool deadline_timer = false);

// Without performance counters: leaves 0xA and 0x80000022 are empty, leaf 1
// offers no PDCM, and AMD's 0x80000001 no counter extensions.
std::vector<kvm_cpuid_entry2> CpuidWithoutPmu(
    std::vector<kvm_cpuid_entry2> entries);

// KVM_SET_CPUID2 takes no more.
inline constexpr std::uint32_t kMostCpuidEntries = 256;

// Padded to `count` entries (as it is where there are more already): leaf 0
// becomes the last entry, and in front of it come leaves of a range that no CPU
// has. KVM searches the entries in order, so that leaf 0 then costs a search
// through `count` of them. 0: as it is.
std::vector<kvm_cpuid_entry2> PadCpuid(std::vector<kvm_cpuid_entry2> entries,
                                       std::uint32_t count);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_CPUID_H_
