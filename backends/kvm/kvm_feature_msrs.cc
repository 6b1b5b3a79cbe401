#include "backends/kvm/kvm_feature_msrs.h"

#include <sys/ioctl.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_status.h"

namespace worldswitch {
namespace {

struct NamedMsr {
  std::uint32_t index;
  const char* name;
};
constexpr NamedMsr kNamedMsrs[] = {
    {0x8B, "IA32_BIOS_SIGN_ID"},
    {0xCE, "MSR_PLATFORM_INFO"},
    {0x10A, "IA32_ARCH_CAPABILITIES"},
    {0x345, "IA32_PERF_CAPABILITIES"},
    {0xC0010015, "HWCR"},
    {0xC0011029, "DE_CFG"},
};
constexpr std::uint32_t kFirstVmx = 0x480;
constexpr std::uint32_t kLastVmx = 0x49F;

const char* MsrName(std::uint32_t index) {
  for (const NamedMsr& msr : kNamedMsrs) {
    if (msr.index == index) return msr.name;
  }
  return "MSR";
}

// Room for a list of `count` indices behind its header.
std::vector<std::uint32_t> EmptyList(std::uint32_t count) {
  static_assert(sizeof(kvm_msr_list) == sizeof(std::uint32_t));
  std::vector<std::uint32_t> words(1 + count);
  words[0] = count;
  return words;
}

absl::StatusOr<std::vector<std::uint32_t>> Indices(const KvmSystem& system) {
  std::vector<std::uint32_t> words = EmptyList(0);
  // With no room it answers E2BIG and the number.
  if (ioctl(system.fd(), KVM_GET_MSR_FEATURE_INDEX_LIST, words.data()) != 0 &&
      errno == E2BIG) {
    words = EmptyList(words[0]);
    if (ioctl(system.fd(), KVM_GET_MSR_FEATURE_INDEX_LIST, words.data()) != 0) {
      return KvmStatus(errno, absl::StrCat("KVM_GET_MSR_FEATURE_INDEX_LIST on ",
                                           system.device()));
    }
  }
  return std::vector<std::uint32_t>(words.begin() + 1, words.end());
}

// False: the engine does not read this one.
bool ReadOne(const KvmSystem& system, std::uint32_t index,
             std::uint64_t* value) {
  struct {
    kvm_msrs header;
    kvm_msr_entry entry;
  } request = {};
  static_assert(offsetof(decltype(request), entry) == sizeof(kvm_msrs));
  request.header.nmsrs = 1;
  request.entry.index = index;
  if (ioctl(system.fd(), KVM_GET_MSRS, &request) != 1) return false;
  *value = request.entry.data;
  return true;
}

}  // namespace

absl::StatusOr<std::map<std::uint32_t, std::uint64_t>> KvmFeatureMsrs(
    const KvmSystem& system) {
  if (system.Capability(KVM_CAP_GET_MSR_FEATURES) <= 0) {
    return absl::UnimplementedError(
        "the engine lacks KVM_CAP_GET_MSR_FEATURES; use Linux 4.17 or newer");
  }
  absl::StatusOr<std::vector<std::uint32_t>> indices = Indices(system);
  if (!indices.ok()) return indices.status();
  std::map<std::uint32_t, std::uint64_t> msrs;
  for (const std::uint32_t index : *indices) {
    if (std::uint64_t value = 0; ReadOne(system, index, &value)) {
      msrs[index] = value;
    }
  }
  return msrs;
}

CapabilityReport KvmFeatureReport(const CapabilitySources& sources) {
  CapabilityReport report;
  report.vendor = "KVM";
  report.of = "its other feature MSRs, as it offers them to guests";
  report.source = absl::StrCat("KVM_GET_MSRS on ", sources.kvm_source);
  if (!sources.kvm_feature_msrs.ok()) {
    report.note = std::string(sources.kvm_feature_msrs.status().message());
    return report;
  }
  CapabilityGroup group;
  group.name = "values";
  group.register_name =
      absl::StrCat(sources.kvm_feature_msrs->size(), " feature MSRs in all");
  for (const auto& [index, value] : *sources.kvm_feature_msrs) {
    if (index >= kFirstVmx && index <= kLastVmx) continue;
    group.facts.push_back(
        {RegisterTitle(MsrName(index), index), absl::StrFormat("%#x", value)});
  }
  report.groups.push_back(std::move(group));
  return report;
}

void AddKvmSources(const KvmSystem& system, CapabilitySources* sources) {
  sources->kvm_source = system.device();
  sources->kvm_feature_msrs = KvmFeatureMsrs(system);
  for (const kvm_cpuid_entry2& entry : system.supported_cpuid()) {
    if (entry.index != 0) continue;
    sources->kvm_cpuid[entry.function] = {entry.eax, entry.ebx, entry.ecx,
                                          entry.edx};
  }
}

}  // namespace worldswitch
