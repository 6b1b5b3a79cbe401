// Which accesses to MSRs come to the caller, and one that is denied.

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_knobs.h"
#include "backends/kvm/kvm_status.h"
#include "core/features/msr_exits.h"

namespace worldswitch {
namespace {

constexpr char kMsrExits[] = "msr_exits";
constexpr char kMsrDeny[] = "msr_deny";
constexpr std::int64_t kNoMsr = -1;
constexpr std::int64_t kLastMsr = 0xFFFFFFFF;
// KVM never asks its filter about these.
constexpr std::int64_t kFirstX2apicMsr = 0x800;
constexpr std::int64_t kLastX2apicMsr = 0x8FF;

struct Cause {
  const char* name;
  MsrExitCauses bit;
};
constexpr Cause kCauses[] = {{"invalid", kMsrInvalid},
                             {"unknown", kMsrUnknown},
                             {"filtered", kMsrFiltered}};

absl::Status Deny(KvmVm& vm, std::uint32_t msr) {
  const std::uint64_t allowed = 0;
  const MsrFilterRange range = {.first = msr,
                                .count = 1,
                                .reads = true,
                                .writes = true,
                                .allowed = &allowed};
  auto* const msrs = FeatureOf<MsrExits>(vm);
  if (msrs != nullptr &&
      msrs->set_filter(MsrFilterDefault::kAllow, &range, 1) == Result::kOk) {
    return absl::OkStatus();
  }
  return KvmStatus(msrs == nullptr ? EOPNOTSUPP : msrs->last_error(),
                   absl::StrFormat("KVM_X86_SET_MSR_FILTER of MSR %#x", msr));
}

}  // namespace

std::vector<Knob> MsrKnobs(const KvmSystem& system) {
  Knob exits = VmKnob(kMsrExits, KnobType::kFlags, "none");
  for (const Cause& cause : kCauses) exits.choices.emplace_back(cause.name);
  exits.meaning =
      "RDMSR and WRMSR that are exits to the caller instead of #GP: with a "
      "value the MSR cannot hold, of an MSR the engine has not, of one that "
      "msr_deny denies";
  exits.applied_by = "KVM_CAP_X86_USER_SPACE_MSR";
  if (system.Capability(KVM_CAP_X86_USER_SPACE_MSR) <= 0) {
    exits.not_settable = "the engine lacks KVM_CAP_X86_USER_SPACE_MSR";
  }

  Knob deny = VmKnob(kMsrDeny, KnobType::kInteger, "-1");
  deny.minimum = kNoMsr;
  deny.maximum = kLastMsr;
  deny.meaning =
      "the index of one MSR that the guest may neither read nor write (0x3b is "
      "IA32_TSC_ADJUST): #GP, or an exit with msr_exits=filtered; -1: none";
  deny.applied_by = "KVM_X86_SET_MSR_FILTER";
  if (system.Capability(KVM_CAP_X86_MSR_FILTER) <= 0) {
    deny.not_settable = "the engine lacks KVM_CAP_X86_MSR_FILTER";
  }
  return {std::move(exits), std::move(deny)};
}

absl::Status ApplyMsrKnobs(const KnobSet& knobs, const KnobSettings& settings,
                           KvmVmOptions* options) {
  std::uint64_t causes = 0;
  for (const std::string& part :
       ParseKnobFlags(knobs.ValueOf(kMsrExits, settings))) {
    for (const Cause& cause : kCauses) {
      if (part == cause.name) causes |= cause.bit;
    }
  }
  if (causes != 0) {
    options->before_vcpus.emplace_back([causes](KvmVm& vm) {
      return vm.EnableCapability(KVM_CAP_X86_USER_SPACE_MSR,
                                 "KVM_CAP_X86_USER_SPACE_MSR", {causes});
    });
  }
  const absl::StatusOr<std::int64_t> msr =
      ParseKnobInteger(knobs.ValueOf(kMsrDeny, settings));
  if (!msr.ok()) return msr.status();
  if (*msr == kNoMsr) return absl::OkStatus();
  if (*msr >= kFirstX2apicMsr && *msr <= kLastX2apicMsr) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s=%#x: KVM never filters the x2APIC's MSRs (%#x to %#x)", kMsrDeny,
        *msr, kFirstX2apicMsr, kLastX2apicMsr));
  }
  options->before_vcpus.emplace_back(
      [index = static_cast<std::uint32_t>(*msr)](KvmVm& vm) {
        return Deny(vm, index);
      });
  return absl::OkStatus();
}

}  // namespace worldswitch
