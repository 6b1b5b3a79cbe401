#include "backends/vmx_intel/vmx_report.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/host/bit_field_text.h"

namespace worldswitch {
namespace {

constexpr char kVendor[] = "VT-x";
constexpr unsigned kCpuidVmx = 1u << 5;  // CPUID.1:ECX

const char* SettingText(VmxSetting setting) {
  switch (setting) {
    case VmxSetting::kAlways0:
      return "always 0";
    case VmxSetting::kEither:
      return "0 or 1";
    case VmxSetting::kAlways1:
      return "always 1";
  }
  return "";
}

std::string Title(VmxMsr msr) {
  return RegisterTitle(VmxMsrName(msr), static_cast<std::uint32_t>(msr));
}

CapabilityGroup ControlsGroup(VmxControlGroup group,
                              const VmxControls& controls,
                              std::uint64_t value) {
  CapabilityGroup shown;
  shown.name = VmxControlGroupName(group);
  shown.register_name = Title(controls.source);
  shown.value = value;
  std::uint64_t undefined = controls.may_be_1 & ~controls.must_be_1;
  for (const BitField& control : VmxControlFields(group)) {
    undefined &= ~control.Mask();
    shown.facts.push_back(
        {control.name, SettingText(controls.Setting(control.low))});
  }
  // Reserved bits are fixed. What is free and has no name is younger than the
  // table.
  if (undefined != 0) {
    shown.facts.push_back({"bits without a name here that may be 0 or 1",
                           absl::StrFormat("%#x", undefined)});
  }
  return shown;
}

const char* FieldsGroupName(VmxMsr msr) {
  switch (msr) {
    case VmxMsr::kBasic:
      return "basic VMX information";
    case VmxMsr::kMisc:
      return "miscellaneous data";
    case VmxMsr::kVmcsEnum:
      return "VMCS enumeration";
    case VmxMsr::kEptVpidCap:
      return "VPID and EPT capabilities";
    default:
      return "VM functions";
  }
}

// CR0 or CR4 in VMX operation: a bit set in FIXED0 has to be 1, one clear in
// FIXED1 has to be 0.
CapabilityGroup FixedGroup(const char* name, VmxMsr fixed0, VmxMsr fixed1,
                           const VmxCapabilities& vmx) {
  CapabilityGroup shown;
  shown.name = absl::StrCat(name, " bits fixed in VMX operation");
  shown.register_name = absl::StrCat(Title(fixed0), ", ", Title(fixed1));
  shown.facts = {{absl::StrCat(name, "_FIXED0: must be 1"),
                  absl::StrFormat("%#x", vmx.Value(fixed0))},
                 {absl::StrCat(name, "_FIXED1: may be 1"),
                  absl::StrFormat("%#x", vmx.Value(fixed1))}};
  return shown;
}

struct KernelFlag {
  const char* flag;
  const char* meaning;
};
// What /proc/cpuinfo calls it, and what the SDM does.
constexpr KernelFlag kKernelFlags[] = {
    {"vnmi", "Virtual NMIs"},
    {"preemption_timer", "Activate VMX-preemption timer"},
    {"posted_intr", "Process posted interrupts"},
    {"invvpid", "INVVPID"},
    {"ept_x_only", "EPT execute-only translations"},
    {"ept_ad", "EPT accessed and dirty flags"},
    {"ept_1gb", "EPT 1-GByte pages"},
    {"ept_5level", "EPT page-walk length 5"},
    {"flexpriority", "Use TPR shadow and Virtualize APIC accesses"},
    {"apicv",
     "Use TPR shadow, APIC-register virtualization, Virtual-interrupt delivery "
     "and Process posted interrupts"},
    {"eptp_switching", "EPTP switching"},
    {"tsc_offset", "Use TSC offsetting"},
    {"vtpr", "Use TPR shadow"},
    {"mtf", "Monitor trap flag"},
    {"vapic", "Virtualize APIC accesses"},
    {"ept", "Enable EPT"},
    {"vpid", "Enable VPID"},
    {"unrestricted_guest", "Unrestricted guest"},
    {"vapic_reg", "APIC-register virtualization"},
    {"vid", "Virtual-interrupt delivery"},
    {"ple", "PAUSE-loop exiting"},
    {"shadow_vmcs", "VMCS shadowing"},
    {"pml", "Enable PML"},
    {"ept_violation_ve", "EPT-violation #VE"},
    {"ept_mode_based_exec", "Mode-based execute control for EPT"},
    {"tsc_scaling", "Use TSC scaling"},
    {"usr_wait_pause", "Enable user wait and pause"},
    {"bus_lock_detection", "VMM bus-lock detection"},
    {"notify_vm_exiting", "Instruction timeout"},
    {"ipi_virt", "IPI virtualization"},
};

CapabilityReport KernelFlagsReport(const CapabilitySources& sources,
                                   const absl::Status& why_no_msr) {
  CapabilityReport report;
  report.vendor = kVendor;
  report.of = "the processor";
  report.source = "\"vmx flags\" of /proc/cpuinfo";
  report.note = absl::StrCat("its MSRs cannot be read (", why_no_msr.message(),
                             "), so this is the part that the kernel tells");
  const std::vector<std::string> flags =
      CpuInfoWords(sources.cpuinfo, "vmx flags");
  if (flags.empty()) {
    absl::StrAppend(&report.note,
                    "; and it tells nothing: no \"vmx flags\" line");
  } else {
    report.groups.push_back(VmxFlagsGroup(flags));
  }
  return report;
}

CapabilityReport ProcessorReport(const CapabilitySources& sources) {
  CapabilityReport report;
  report.vendor = kVendor;
  report.of = "the processor";
  report.source = sources.msr_source;
  if ((sources.cpu.cpuid(1, 0).ecx & kCpuidVmx) == 0) {
    report.source = "CPUID.1:ECX";
    report.note = "bit 5 is 0: no VMX here";
    return report;
  }
  VmxCapabilities vmx;
  for (std::uint32_t i = 0; i < kVmxMsrCount; ++i) {
    const auto msr = static_cast<VmxMsr>(kFirstVmxMsr + i);
    if (!vmx.Exists(msr)) continue;
    const absl::StatusOr<std::uint64_t> value =
        sources.read_msr(kFirstVmxMsr + i);
    if (value.ok()) {
      vmx.Set(msr, *value);
    } else if (i == 0) {
      return KernelFlagsReport(sources, value.status());
    } else {
      absl::StrAppend(&report.note, report.note.empty() ? "" : "; ",
                      VmxMsrName(msr), ": ", value.status().message());
    }
  }
  report.groups = VmxCapabilityGroups(vmx);
  const absl::StatusOr<std::uint64_t> control =
      sources.read_msr(VmxFeatureControl::kMsr);
  if (control.ok()) {
    report.groups.push_back(
        {.name = "what firmware allows",
         .register_name =
             RegisterTitle("IA32_FEATURE_CONTROL", VmxFeatureControl::kMsr),
         .value = *control,
         .facts = BitFieldFacts(VmxFeatureControl::kAll, *control)});
  }
  return report;
}

CapabilityReport NestedReport(const CapabilitySources& sources) {
  CapabilityReport report;
  report.vendor = kVendor;
  report.of = "what KVM offers to nested guests, not the processor";
  report.source =
      absl::StrCat("feature MSRs, KVM_GET_MSRS on ", sources.kvm_source);
  if (!sources.kvm_feature_msrs.ok()) {
    report.note = std::string(sources.kvm_feature_msrs.status().message());
    return report;
  }
  VmxCapabilities vmx;
  bool any = false;
  for (const auto& [index, value] : *sources.kvm_feature_msrs) {
    if (index < kFirstVmxMsr || index >= kFirstVmxMsr + kVmxMsrCount) continue;
    vmx.Set(static_cast<VmxMsr>(index), value);
    any = true;
  }
  if (!any) {
    report.note = absl::StrCat("none of the ", sources.kvm_feature_msrs->size(),
                               " feature MSRs of this engine is one of VMX");
  }
  report.groups = VmxCapabilityGroups(vmx);
  return report;
}

}  // namespace

std::vector<CapabilityGroup> VmxCapabilityGroups(const VmxCapabilities& vmx) {
  std::vector<CapabilityGroup> groups;
  const auto add_fields = [&](VmxMsr msr) {
    if (!vmx.Known(msr)) return;
    groups.push_back(
        {.name = FieldsGroupName(msr),
         .register_name = Title(msr),
         .value = vmx.Value(msr),
         .facts = BitFieldFacts(VmxMsrFields(msr), vmx.Value(msr))});
  };
  add_fields(VmxMsr::kBasic);
  for (int i = 0; i < static_cast<int>(VmxControlGroup::kCount); ++i) {
    const auto group = static_cast<VmxControlGroup>(i);
    const VmxControls controls = vmx.Controls(group);
    if (!controls.known) continue;
    groups.push_back(
        ControlsGroup(group, controls, vmx.Value(controls.source)));
  }
  add_fields(VmxMsr::kEptVpidCap);
  add_fields(VmxMsr::kMisc);
  if (vmx.Known(VmxMsr::kCr0Fixed0) && vmx.Known(VmxMsr::kCr0Fixed1)) {
    groups.push_back(
        FixedGroup("CR0", VmxMsr::kCr0Fixed0, VmxMsr::kCr0Fixed1, vmx));
  }
  if (vmx.Known(VmxMsr::kCr4Fixed0) && vmx.Known(VmxMsr::kCr4Fixed1)) {
    groups.push_back(
        FixedGroup("CR4", VmxMsr::kCr4Fixed0, VmxMsr::kCr4Fixed1, vmx));
  }
  add_fields(VmxMsr::kVmcsEnum);
  add_fields(VmxMsr::kVmfunc);
  return groups;
}

CapabilityGroup VmxFlagsGroup(const std::vector<std::string>& flags) {
  CapabilityGroup group;
  group.name = "controls and capabilities that the kernel names";
  group.register_name = "vmx flags";
  for (const std::string& flag : flags) {
    const KernelFlag* const known =
        std::find_if(std::begin(kKernelFlags), std::end(kKernelFlags),
                     [&](const KernelFlag& each) { return flag == each.flag; });
    group.facts.push_back({known != std::end(kKernelFlags)
                               ? absl::StrCat(known->meaning, " (", flag, ")")
                               : flag,
                           "yes"});
  }
  return group;
}

std::vector<CapabilityReport> VmxReports(const CapabilitySources& sources) {
  return {ProcessorReport(sources), NestedReport(sources)};
}

}  // namespace worldswitch
