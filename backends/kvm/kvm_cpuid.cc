#include "backends/kvm/kvm_cpuid.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "backends/kvm/kvm_status.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kFirstRoom = 128;  // entries; 75 to 100 are common
constexpr std::uint32_t kLargestRoom = 4096;

}  // namespace

absl::StatusOr<std::vector<kvm_cpuid_entry2>> SupportedCpuid(int kvm_fd) {
  for (std::uint32_t room = kFirstRoom; room <= kLargestRoom; room *= 2) {
    std::vector<std::uint64_t> buffer(
        (sizeof(kvm_cpuid2) + room * sizeof(kvm_cpuid_entry2)) / 8 + 1);
    auto* const cpuid = reinterpret_cast<kvm_cpuid2*>(buffer.data());
    cpuid->nent = room;
    if (ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) == 0) {
      std::vector<kvm_cpuid_entry2> entries(cpuid->nent);
      if (!entries.empty()) {
        std::memcpy(entries.data(),
                    reinterpret_cast<const std::byte*>(buffer.data()) +
                        sizeof(kvm_cpuid2),
                    entries.size() * sizeof(kvm_cpuid_entry2));
      }
      return entries;
    }
    if (errno != E2BIG) break;
  }
  return KvmStatus(errno, "KVM_GET_SUPPORTED_CPUID");
}

std::vector<kvm_cpuid_entry2> CpuidForVcpu(
    std::vector<kvm_cpuid_entry2> supported, std::uint32_t apic_id,
    bool deadline_timer) {
  constexpr std::uint32_t kInitialApicIdShift = 24;   // leaf 1, EBX 31:24
  constexpr std::uint32_t kDeadlineTimer = 1u << 24;  // leaf 1, ECX
  constexpr std::uint32_t kBelowInitialApicId = (1u << kInitialApicIdShift) - 1;
  for (kvm_cpuid_entry2& entry : supported) {
    switch (entry.function) {
      case 1:
        entry.ebx = (entry.ebx & kBelowInitialApicId) |
                    (apic_id << kInitialApicIdShift);
        if (deadline_timer) entry.ecx |= kDeadlineTimer;
        break;
      case 0xB:
      case 0x1F:
        entry.edx = apic_id;
        break;
      case 0x8000001E:
        entry.eax = apic_id;
        break;
      default:
        break;
    }
  }
  return supported;
}

std::vector<kvm_cpuid_entry2> CpuidWithoutPmu(
    std::vector<kvm_cpuid_entry2> entries) {
  constexpr std::uint32_t kPdcm = 1u << 15;  // leaf 1, ECX
  // Leaf 0x80000001, ECX: PerfCtrExtCore, PerfCtrExtNB, PerfCtrExtLLC.
  constexpr std::uint32_t kCounterExtensions = 1u << 23 | 1u << 24 | 1u << 28;
  for (kvm_cpuid_entry2& entry : entries) {
    switch (entry.function) {
      case 1:
        entry.ecx &= ~kPdcm;
        break;
      case 0x80000001:
        entry.ecx &= ~kCounterExtensions;
        break;
      case 0xA:
      case 0x80000022:
        entry.eax = entry.ebx = entry.ecx = entry.edx = 0;
        break;
      default:
        break;
    }
  }
  return entries;
}

std::vector<kvm_cpuid_entry2> PadCpuid(std::vector<kvm_cpuid_entry2> entries,
                                       std::uint32_t count) {
  // Between the basic and the hypervisors' leaves.
  constexpr std::uint32_t kFirstFiller = 0x20000000;
  if (count == 0) return entries;
  const auto leaf0 =
      std::find_if(entries.begin(), entries.end(),
                   [](const auto& entry) { return entry.function == 0; });
  if (leaf0 == entries.end()) return entries;
  const kvm_cpuid_entry2 last = *leaf0;
  entries.erase(leaf0);
  for (std::uint32_t leaf = kFirstFiller; entries.size() + 1 < count; ++leaf) {
    kvm_cpuid_entry2 filler = {};
    filler.function = leaf;
    entries.push_back(filler);
  }
  entries.push_back(last);
  return entries;
}

}  // namespace worldswitch
