#include "backends/vmx_intel/vmx_capability.h"

#include <cstddef>
#include <iterator>

namespace worldswitch {
namespace {

constexpr const char* kMsrNames[kVmxMsrCount] = {
    "IA32_VMX_BASIC",
    "IA32_VMX_PINBASED_CTLS",
    "IA32_VMX_PROCBASED_CTLS",
    "IA32_VMX_EXIT_CTLS",
    "IA32_VMX_ENTRY_CTLS",
    "IA32_VMX_MISC",
    "IA32_VMX_CR0_FIXED0",
    "IA32_VMX_CR0_FIXED1",
    "IA32_VMX_CR4_FIXED0",
    "IA32_VMX_CR4_FIXED1",
    "IA32_VMX_VMCS_ENUM",
    "IA32_VMX_PROCBASED_CTLS2",
    "IA32_VMX_EPT_VPID_CAP",
    "IA32_VMX_TRUE_PINBASED_CTLS",
    "IA32_VMX_TRUE_PROCBASED_CTLS",
    "IA32_VMX_TRUE_EXIT_CTLS",
    "IA32_VMX_TRUE_ENTRY_CTLS",
    "IA32_VMX_VMFUNC",
    "IA32_VMX_PROCBASED_CTLS3",
    "IA32_VMX_EXIT_CTLS2",
};

constexpr const char* kMemoryTypes[] = {
    "uncacheable (UC)", nullptr, nullptr, nullptr, nullptr, nullptr,
    "write-back (WB)"};

constexpr BitField kBasicFields[] = {
    NumberField("VMCS revision identifier", 0, 31),
    NumberField("VMXON and VMCS region size in bytes", 32, 13),
    FlagField("physical addresses limited to 32 bits", 48),
    FlagField("dual-monitor treatment of SMIs and SMM", 49),
    ChoiceField("memory type of the VMCS", 50, 4, kMemoryTypes),
    FlagField("instruction information of INS and OUTS", 54),
    FlagField("TRUE control MSRs", kBasicTrueControls),
    FlagField("hardware exceptions injected with or without error code", 56),
    FlagField("nested exceptions", 58),
};

constexpr BitField kMiscFields[] = {
    NumberField("VMX-preemption timer counts at TSC rate >>", 0, 5),
    FlagField("VM exits store EFER.LMA in IA-32e mode guest", 5),
    FlagField("activity state HLT", 6),
    FlagField("activity state shutdown", 7),
    FlagField("activity state wait-for-SIPI", 8),
    FlagField("Intel PT in VMX operation", 14),
    FlagField("RDMSR of IA32_SMBASE in SMM", 15),
    NumberField("CR3-target values", 16, 9),
    NumberField("recommended MSR-list maximum is 512 times 1 plus", 25, 3),
    FlagField("IA32_SMM_MONITOR_CTL bit 2 can be 1", 28),
    FlagField("VMWRITE to all VMCS fields", 29),
    FlagField("injection with instruction length 0", 30),
    HexField("MSEG revision identifier", 32, 32),
};

constexpr BitField kVmcsEnumFields[] = {
    NumberField("highest index of a VMCS field encoding", 1, 9),
};

constexpr BitField kEptVpidFields[] = {
    FlagField("EPT execute-only translations", 0),
    FlagField("EPT page-walk length 4", 6),
    FlagField("EPT page-walk length 5", 7),
    FlagField("EPT memory type uncacheable (UC)", 8),
    FlagField("EPT memory type write-back (WB)", 14),
    FlagField("EPT 2-MByte pages", 16),
    FlagField("EPT 1-GByte pages", 17),
    FlagField("INVEPT", 20),
    FlagField("EPT accessed and dirty flags", 21),
    FlagField("advanced VM-exit information for EPT violations", 22),
    FlagField("EPT supervisor shadow-stack control", 23),
    FlagField("INVEPT single-context", 25),
    FlagField("INVEPT all-context", 26),
    FlagField("INVVPID", 32),
    FlagField("INVVPID individual-address", 40),
    FlagField("INVVPID single-context", 41),
    FlagField("INVVPID all-context", 42),
    FlagField("INVVPID single-context-retaining-globals", 43),
    NumberField("maximum HLAT prefix size", 48, 6),
};

constexpr BitField kVmfuncFields[] = {
    FlagField("EPTP switching", 0),
};

constexpr BitField kPinControls[] = {
    FlagField("External-interrupt exiting", 0),
    FlagField("NMI exiting", 3),
    FlagField("Virtual NMIs", 5),
    FlagField("Activate VMX-preemption timer", 6),
    FlagField("Process posted interrupts", 7),
};

constexpr BitField kPrimaryControls[] = {
    FlagField("Interrupt-window exiting", 2),
    FlagField("Use TSC offsetting", 3),
    FlagField("HLT exiting", 7),
    FlagField("INVLPG exiting", 9),
    FlagField("MWAIT exiting", 10),
    FlagField("RDPMC exiting", 11),
    FlagField("RDTSC exiting", 12),
    FlagField("CR3-load exiting", 15),
    FlagField("CR3-store exiting", 16),
    FlagField("Activate tertiary controls", kPrimaryActivateTertiary),
    FlagField("CR8-load exiting", 19),
    FlagField("CR8-store exiting", 20),
    FlagField("Use TPR shadow", 21),
    FlagField("NMI-window exiting", 22),
    FlagField("MOV-DR exiting", 23),
    FlagField("Unconditional I/O exiting", 24),
    FlagField("Use I/O bitmaps", 25),
    FlagField("Monitor trap flag", 27),
    FlagField("Use MSR bitmaps", 28),
    FlagField("MONITOR exiting", 29),
    FlagField("PAUSE exiting", 30),
    FlagField("Activate secondary controls", kPrimaryActivateSecondary),
};

constexpr BitField kSecondaryControls[] = {
    FlagField("Virtualize APIC accesses", 0),
    FlagField("Enable EPT", kSecondaryEnableEpt),
    FlagField("Descriptor-table exiting", 2),
    FlagField("Enable RDTSCP", 3),
    FlagField("Virtualize x2APIC mode", 4),
    FlagField("Enable VPID", kSecondaryEnableVpid),
    FlagField("WBINVD exiting", 6),
    FlagField("Unrestricted guest", 7),
    FlagField("APIC-register virtualization", 8),
    FlagField("Virtual-interrupt delivery", 9),
    FlagField("PAUSE-loop exiting", 10),
    FlagField("RDRAND exiting", 11),
    FlagField("Enable INVPCID", 12),
    FlagField("Enable VM functions", kSecondaryEnableVmFunctions),
    FlagField("VMCS shadowing", 14),
    FlagField("Enable ENCLS exiting", 15),
    FlagField("RDSEED exiting", 16),
    FlagField("Enable PML", 17),
    FlagField("EPT-violation #VE", 18),
    FlagField("Conceal VMX from PT", 19),
    FlagField("Enable XSAVES/XRSTORS", 20),
    FlagField("PASID translation", 21),
    FlagField("Mode-based execute control for EPT", 22),
    FlagField("Sub-page write permissions for EPT", 23),
    FlagField("Intel PT uses guest physical addresses", 24),
    FlagField("Use TSC scaling", 25),
    FlagField("Enable user wait and pause", 26),
    FlagField("Enable PCONFIG", 27),
    FlagField("Enable ENCLV exiting", 28),
    FlagField("VMM bus-lock detection", 30),
    FlagField("Instruction timeout", 31),
};

constexpr BitField kTertiaryControls[] = {
    FlagField("LOADIWKEY exiting", 0),
    FlagField("Enable HLAT", 1),
    FlagField("EPT paging-write control", 2),
    FlagField("Guest-paging verification", 3),
    FlagField("IPI virtualization", 4),
    FlagField("Enable MSR-list instructions", 6),
    FlagField("Virtualize IA32_SPEC_CTRL", 7),
};

constexpr BitField kExitControls[] = {
    FlagField("Save debug controls", 2),
    FlagField("Host address-space size", 9),
    FlagField("Load IA32_PERF_GLOBAL_CTRL", 12),
    FlagField("Acknowledge interrupt on exit", 15),
    FlagField("Save IA32_PAT", 18),
    FlagField("Load IA32_PAT", 19),
    FlagField("Save IA32_EFER", 20),
    FlagField("Load IA32_EFER", 21),
    FlagField("Save VMX-preemption timer value", 22),
    FlagField("Clear IA32_BNDCFGS", 23),
    FlagField("Conceal VMX from PT", 24),
    FlagField("Clear IA32_RTIT_CTL", 25),
    FlagField("Clear IA32_LBR_CTL", 26),
    FlagField("Clear UINV", 27),
    FlagField("Load CET state", 28),
    FlagField("Load PKRS", 29),
    FlagField("Save IA32_PERF_GLOBAL_CTRL", 30),
    FlagField("Activate secondary controls", kExitActivateSecondary),
};

constexpr BitField kSecondaryExitControls[] = {
    FlagField("Save IA32_FRED", 0),
    FlagField("Load IA32_FRED", 1),
    FlagField("Prematurely busy shadow stack", 3),
};

constexpr BitField kEntryControls[] = {
    FlagField("Load debug controls", 2),
    FlagField("IA-32e mode guest", 9),
    FlagField("Entry to SMM", 10),
    FlagField("Deactivate dual-monitor treatment", 11),
    FlagField("Load IA32_PERF_GLOBAL_CTRL", 13),
    FlagField("Load IA32_PAT", 14),
    FlagField("Load IA32_EFER", 15),
    FlagField("Load IA32_BNDCFGS", 16),
    FlagField("Conceal VMX from PT", 17),
    FlagField("Load IA32_RTIT_CTL", 18),
    FlagField("Load UINV", 19),
    FlagField("Load CET state", 20),
    FlagField("Load guest IA32_LBR_CTL", 21),
    FlagField("Load PKRS", 22),
    FlagField("Load IA32_FRED", 23),
};

struct Group {
  const char* name;
  BitFields controls;
  VmxMsr msr;
  VmxMsr true_msr;  // the same as msr where there is no other
  // The MSR holds the allowed 1-settings of 64 controls, all of which may be 0.
  bool allowed_1_only;
};

constexpr Group kGroups[] = {
    {"pin-based VM-execution controls", kPinControls, VmxMsr::kPinBased,
     VmxMsr::kTruePinBased, false},
    {"primary processor-based VM-execution controls", kPrimaryControls,
     VmxMsr::kProcBased, VmxMsr::kTrueProcBased, false},
    {"secondary processor-based VM-execution controls", kSecondaryControls,
     VmxMsr::kProcBased2, VmxMsr::kProcBased2, false},
    {"tertiary processor-based VM-execution controls", kTertiaryControls,
     VmxMsr::kProcBased3, VmxMsr::kProcBased3, true},
    {"primary VM-exit controls", kExitControls, VmxMsr::kExit,
     VmxMsr::kTrueExit, false},
    {"secondary VM-exit controls", kSecondaryExitControls, VmxMsr::kExit2,
     VmxMsr::kExit2, true},
    {"VM-entry controls", kEntryControls, VmxMsr::kEntry, VmxMsr::kTrueEntry,
     false},
};
static_assert(std::size(kGroups) ==
              static_cast<std::size_t>(VmxControlGroup::kCount));

const Group& GroupOf(VmxControlGroup group) {
  return kGroups[static_cast<std::size_t>(group)];
}

}  // namespace

const char* VmxMsrName(VmxMsr msr) {
  return kMsrNames[static_cast<std::uint32_t>(msr) - kFirstVmxMsr];
}

BitFields VmxMsrFields(VmxMsr msr) {
  switch (msr) {
    case VmxMsr::kBasic:
      return kBasicFields;
    case VmxMsr::kMisc:
      return kMiscFields;
    case VmxMsr::kVmcsEnum:
      return kVmcsEnumFields;
    case VmxMsr::kEptVpidCap:
      return kEptVpidFields;
    case VmxMsr::kVmfunc:
      return kVmfuncFields;
    default:
      return {};
  }
}

const char* VmxControlGroupName(VmxControlGroup group) {
  return GroupOf(group).name;
}

BitFields VmxControlFields(VmxControlGroup group) {
  return GroupOf(group).controls;
}

// The allowed 1-setting is the same in both MSRs of the group.
bool VmxCapabilities::AllowsPrimary(unsigned bit) const {
  return Known(VmxMsr::kProcBased) &&
         Controls(VmxControlGroup::kPrimary).MayBe1(bit);
}

bool VmxCapabilities::Exists(VmxMsr msr) const {
  const bool true_controls =
      Known(VmxMsr::kBasic) &&
      ((Value(VmxMsr::kBasic) >> kBasicTrueControls) & 1) != 0;
  const VmxControls secondary = Controls(VmxControlGroup::kSecondary);
  switch (msr) {
    case VmxMsr::kProcBased2:
      return AllowsPrimary(kPrimaryActivateSecondary);
    case VmxMsr::kEptVpidCap:
      return secondary.MayBe1(kSecondaryEnableEpt) ||
             secondary.MayBe1(kSecondaryEnableVpid);
    case VmxMsr::kTruePinBased:
    case VmxMsr::kTrueProcBased:
    case VmxMsr::kTrueExit:
    case VmxMsr::kTrueEntry:
      return true_controls;
    case VmxMsr::kVmfunc:
      return secondary.MayBe1(kSecondaryEnableVmFunctions);
    case VmxMsr::kProcBased3:
      return AllowsPrimary(kPrimaryActivateTertiary);
    case VmxMsr::kExit2:
      return Controls(VmxControlGroup::kExit).MayBe1(kExitActivateSecondary);
    default:
      return true;
  }
}

VmxControls VmxCapabilities::Controls(VmxControlGroup group) const {
  const Group& of = GroupOf(group);
  VmxControls controls;
  controls.source = Known(of.true_msr) ? of.true_msr : of.msr;
  controls.known = Known(controls.source);
  if (!controls.known) return controls;
  const std::uint64_t value = Value(controls.source);
  if (of.allowed_1_only) {
    controls.may_be_1 = value;
  } else {
    controls.must_be_1 = value & 0xFFFFFFFF;
    controls.may_be_1 = value >> 32;
  }
  return controls;
}

}  // namespace worldswitch
