// Exits that a VM takes only if asked to, and how many CPUID entries it has.

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_cpuid.h"
#include "backends/kvm/kvm_header.h"
#include "backends/kvm/kvm_knobs.h"

namespace worldswitch {
namespace {

constexpr char kHypercallExits[] = "hypercall_exits";
constexpr char kBusLockExits[] = "bus_lock_exits";
constexpr char kNotifyWindow[] = "notify_window";
constexpr char kCpuidEntries[] = "cpuid_entries";

// The one hypercall that KVM hands out: KVM_HC_MAP_GPA_RANGE.
constexpr char kMapGpaRange[] = "map_gpa_range";
constexpr std::uint64_t kMapGpaRangeBit = std::uint64_t{1} << 12;

constexpr std::int64_t kNoWindow = -1;
constexpr std::int64_t kLongestWindow = 0xFFFFFFFF;
constexpr unsigned kWindowShift = 32;  // in the capability's argument

std::int64_t Number(const KnobSet& knobs, const char* name,
                    const KnobSettings& settings) {
  // Checked against the knob's range already.
  return ParseKnobInteger(knobs.ValueOf(name, settings)).value_or(0);
}

std::string Lacks(const char* capability) {
  return absl::StrCat("the engine lacks ", capability,
                      " (KVM_CHECK_EXTENSION answers 0)");
}

}  // namespace

std::vector<Knob> AskedExitKnobs(const KvmSystem& system) {
  const auto hypercalls =
      static_cast<std::uint64_t>(system.Capability(KVM_CAP_EXIT_HYPERCALL));
  Knob hypercall = VmKnob(kHypercallExits, KnobType::kChoice, "none");
  hypercall.choices = {"none"};
  if ((hypercalls & kMapGpaRangeBit) != 0) {
    hypercall.choices.emplace_back(kMapGpaRange);
  } else {
    hypercall.not_settable = Lacks("KVM_CAP_EXIT_HYPERCALL");
  }
  hypercall.meaning = "hypercalls of the guest that are exits to the caller";
  hypercall.applied_by = "KVM_CAP_EXIT_HYPERCALL";

  const int detections = system.Capability(KVM_CAP_X86_BUS_LOCK_EXIT);
  Knob bus_lock = VmKnob(kBusLockExits, KnobType::kBool, "off");
  bus_lock.meaning =
      "an exit behind every instruction of the guest that locked the bus (a "
      "split lock, a locked access to uncached memory)";
  bus_lock.applied_by = "KVM_CAP_X86_BUS_LOCK_EXIT";
  if ((detections & KVM_BUS_LOCK_DETECTION_EXIT) == 0) {
    bus_lock.not_settable = Lacks("KVM_CAP_X86_BUS_LOCK_EXIT");
  }

  Knob notify = VmKnob(kNotifyWindow, KnobType::kInteger, "-1");
  notify.minimum = kNoWindow;
  notify.maximum = kLongestWindow;
  notify.meaning =
      "an exit when the guest lets no event in for longer than this (SDM 3C, "
      "\"Notify window\", on top of what the processor adds); -1: never";
  notify.applied_by = "KVM_CAP_X86_NOTIFY_VMEXIT";
  if (system.Capability(KVM_CAP_X86_NOTIFY_VMEXIT) <= 0) {
    notify.not_settable = Lacks("KVM_CAP_X86_NOTIFY_VMEXIT");
  }

  Knob entries = VmKnob(kCpuidEntries, KnobType::kInteger, "0");
  entries.maximum = kMostCpuidEntries;
  entries.unit = "entries";
  entries.meaning =
      "the guest's CPUID is padded to so many entries with leaves that nobody "
      "asks for, and leaf 0 is the last one, which KVM comes to last; 0: as "
      "many as the engine has";
  entries.applied_by = "KVM_SET_CPUID2";
  return {std::move(hypercall), std::move(bus_lock), std::move(notify),
          std::move(entries)};
}

absl::Status ApplyAskedExitKnobs(const KnobSet& knobs,
                                 const KnobSettings& settings,
                                 KvmVmOptions* options) {
  if (knobs.ValueOf(kHypercallExits, settings) == kMapGpaRange) {
    options->before_vcpus.emplace_back([](KvmVm& vm) {
      return vm.EnableCapability(KVM_CAP_EXIT_HYPERCALL,
                                 "KVM_CAP_EXIT_HYPERCALL", {kMapGpaRangeBit});
    });
  }
  const absl::StatusOr<bool> bus_lock =
      ParseKnobBool(knobs.ValueOf(kBusLockExits, settings));
  if (!bus_lock.ok()) return bus_lock.status();
  options->bus_lock_exits = *bus_lock;
  if (*bus_lock) {
    options->before_vcpus.emplace_back([](KvmVm& vm) {
      return vm.EnableCapability(KVM_CAP_X86_BUS_LOCK_EXIT,
                                 "KVM_CAP_X86_BUS_LOCK_EXIT",
                                 {KVM_BUS_LOCK_DETECTION_EXIT});
    });
  }
  const std::int64_t window = Number(knobs, kNotifyWindow, settings);
  if (window != kNoWindow) {
    const std::uint64_t argument =
        static_cast<std::uint64_t>(window) << kWindowShift |
        KVM_X86_NOTIFY_VMEXIT_ENABLED | KVM_X86_NOTIFY_VMEXIT_USER;
    options->before_vcpus.emplace_back([argument](KvmVm& vm) {
      return vm.EnableCapability(KVM_CAP_X86_NOTIFY_VMEXIT,
                                 "KVM_CAP_X86_NOTIFY_VMEXIT", {argument});
    });
  }
  options->cpuid_entries =
      static_cast<std::uint32_t>(Number(knobs, kCpuidEntries, settings));
  return absl::OkStatus();
}

}  // namespace worldswitch
