// What the guest's processor is like: the format of its APIC ids, whether it
// has a PMU, KVM's deviations from the manuals, and the rate of its TSC.

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_knobs.h"

namespace worldswitch {
namespace {

constexpr char kX2apicApi[] = "x2apic_api";
constexpr char kPmu[] = "pmu";
constexpr char kDisableQuirks[] = "disable_quirks";
constexpr char kTscKhz[] = "tsc_khz";

struct NamedBit {
  const char* name;
  std::uint64_t bit;
};
constexpr NamedBit kX2apicBits[] = {
    {"32bit_ids", KVM_X2APIC_API_USE_32BIT_IDS},
    {"no_broadcast_quirk", KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK}};

// KVM_X86_QUIRK_*, by their bits; the last four are younger than the oldest
// header this is built with.
constexpr const char* kQuirks[] = {
    "lint0_reenabled",           "cd_nw_cleared",
    "lapic_mmio_hole",           "out_7e_inc_rip",
    "misc_enable_no_mwait",      "fix_hypercall_insn",
    "mwait_never_ud_faults",     "slot_zap_all",
    "stuff_feature_msrs",        "ignore_guest_pat",
    "vmcs12_allow_freeze_in_smm"};
constexpr unsigned kQuirkBits = 31;  // a capability's value is a positive int

std::string QuirkName(unsigned bit) {
  return bit < std::size(kQuirks) ? kQuirks[bit] : absl::StrCat("bit", bit);
}

Knob X2apicKnob(const KvmSystem& system) {
  const auto offered =
      static_cast<std::uint64_t>(system.Capability(KVM_CAP_X2APIC_API));
  Knob knob = VmKnob(kX2apicApi, KnobType::kFlags, "none");
  for (const NamedBit& each : kX2apicBits) {
    if ((offered & each.bit) != 0) knob.choices.emplace_back(each.name);
  }
  knob.meaning =
      "32-bit APIC ids in the local APIC's state and in messages; 0xFF is an "
      "id like any other in x2APIC mode; both need an irqchip";
  knob.applied_by = "KVM_CAP_X2APIC_API";
  if (knob.choices.empty()) {
    knob.not_settable = "the engine lacks KVM_CAP_X2APIC_API";
  }
  return knob;
}

Knob PmuKnob(const KvmSystem& system) {
  Knob knob = VmKnob(kPmu, KnobType::kBool, "on");
  knob.meaning =
      "performance counters for the guest, where the engine has any; off: "
      "CPUID tells of none";
  knob.applied_by = "KVM_CAP_PMU_CAPABILITY, KVM_SET_CPUID2";
  if ((system.Capability(KVM_CAP_PMU_CAPABILITY) & KVM_PMU_CAP_DISABLE) == 0) {
    knob.not_settable =
        "the engine gives no guest a PMU, or lacks KVM_CAP_PMU_CAPABILITY "
        "(KVM_CHECK_EXTENSION answers 0)";
  }
  return knob;
}

Knob QuirksKnob(const KvmSystem& system) {
  const auto offered =
      static_cast<std::uint32_t>(system.Capability(KVM_CAP_DISABLE_QUIRKS2));
  Knob knob = VmKnob(kDisableQuirks, KnobType::kFlags, "none");
  for (unsigned bit = 0; bit < kQuirkBits; ++bit) {
    if ((offered >> bit & 1) != 0) knob.choices.push_back(QuirkName(bit));
  }
  knob.meaning =
      "KVM's deviations from the manuals that are turned off "
      "(KVM_X86_QUIRK_*)";
  knob.applied_by = "KVM_CAP_DISABLE_QUIRKS2";
  if (knob.choices.empty()) {
    knob.not_settable = "the engine lacks KVM_CAP_DISABLE_QUIRKS2";
  }
  return knob;
}

Knob TscKnob(const KvmSystem& system) {
  Knob knob = VmKnob(kTscKhz, KnobType::kInteger, "0");
  knob.maximum = INT32_MAX;
  knob.unit = "kHz";
  knob.meaning =
      "the rate of the guest's TSC, proven by what the guest then reads; 0: "
      "the host's. The guest's ticks are then not the host's";
  knob.applied_by = "KVM_SET_TSC_KHZ";
  // KVM_CAP_TSC_CONTROL tells whether hardware scales. Without it KVM still
  // takes a higher rate, and lets the TSC catch up at every entry.
  if (system.Capability(KVM_CAP_GET_TSC_KHZ) <= 0) {
    knob.not_settable = "the engine lacks KVM_CAP_GET_TSC_KHZ";
  }
  return knob;
}

}  // namespace

std::vector<Knob> ProcessorKnobs(const KvmSystem& system) {
  return {X2apicKnob(system), PmuKnob(system), QuirksKnob(system),
          TscKnob(system)};
}

absl::Status ApplyProcessorKnobs(const KnobSet& knobs,
                                 const KnobSettings& settings,
                                 KvmVmOptions* options) {
  std::uint64_t x2apic = 0;
  for (const std::string& part :
       ParseKnobFlags(knobs.ValueOf(kX2apicApi, settings))) {
    for (const NamedBit& each : kX2apicBits) {
      if (part == each.name) x2apic |= each.bit;
    }
  }
  if (x2apic != 0) {
    options->before_vcpus.emplace_back([x2apic](KvmVm& vm) -> absl::Status {
      if (vm.irqchip() == nullptr) {
        return absl::InvalidArgumentError(
            absl::StrCat(kX2apicApi,
                         " with irqchip=none: there is no local APIC that it "
                         "would change; set irqchip=split or irqchip=full"));
      }
      return vm.EnableCapability(KVM_CAP_X2APIC_API, "KVM_CAP_X2APIC_API",
                                 {x2apic});
    });
  }

  const absl::StatusOr<bool> pmu = ParseKnobBool(knobs.ValueOf(kPmu, settings));
  if (!pmu.ok()) return pmu.status();
  options->pmu = *pmu;
  if (!*pmu) {
    options->before_vcpus.emplace_back([](KvmVm& vm) {
      return vm.EnableCapability(KVM_CAP_PMU_CAPABILITY,
                                 "KVM_CAP_PMU_CAPABILITY",
                                 {KVM_PMU_CAP_DISABLE});
    });
  }

  std::uint64_t quirks = 0;
  for (const std::string& part :
       ParseKnobFlags(knobs.ValueOf(kDisableQuirks, settings))) {
    for (unsigned bit = 0; bit < kQuirkBits; ++bit) {
      if (part == QuirkName(bit)) quirks |= std::uint64_t{1} << bit;
    }
  }
  if (quirks != 0) {
    options->before_vcpus.emplace_back([quirks](KvmVm& vm) {
      return vm.EnableCapability(KVM_CAP_DISABLE_QUIRKS2,
                                 "KVM_CAP_DISABLE_QUIRKS2", {quirks});
    });
  }

  const absl::StatusOr<std::int64_t> khz =
      ParseKnobInteger(knobs.ValueOf(kTscKhz, settings));
  if (!khz.ok()) return khz.status();
  if (*khz != 0) {
    options->after_vcpus.emplace_back(
        [rate = static_cast<std::uint32_t>(*khz)](KvmVm& vm) {
          return vm.SetTscKhz(rate);
        });
  }
  return absl::OkStatus();
}

}  // namespace worldswitch
