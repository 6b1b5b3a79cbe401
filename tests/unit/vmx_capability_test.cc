// VMX capabilities of real processors, decoded: register values that others
// published, against what they decoded of them themselves or what is known of
// the processor.

#include "backends/vmx_intel/vmx_capability.h"

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backends/vmx_intel/vmx_report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

using MsrValues = std::vector<std::pair<VmxMsr, std::uint64_t>>;

VmxCapabilities Capabilities(const MsrValues& values) {
  VmxCapabilities vmx;
  for (const auto& [msr, value] : values) vmx.Set(msr, value);
  return vmx;
}

// The names of a group's controls with one setting.
std::set<std::string> With(const VmxCapabilities& vmx, VmxControlGroup group,
                           VmxSetting setting) {
  std::set<std::string> names;
  const VmxControls controls = vmx.Controls(group);
  EXPECT_TRUE(controls.known);
  for (const BitField& control : VmxControlFields(group)) {
    if (controls.Setting(control.low) == setting) names.insert(control.name);
  }
  return names;
}

const CapabilityGroup* FindGroup(const std::vector<CapabilityGroup>& groups,
                                 const std::string& name) {
  for (const CapabilityGroup& group : groups) {
    if (group.name == name) return &group;
  }
  return nullptr;
}

std::string ValueOf(const CapabilityGroup* group, const std::string& name) {
  if (group == nullptr) return "no such group";
  for (const Fact& fact : group->facts) {
    if (fact.name == name) return fact.value;
  }
  return "no such fact";
}

// Core i7-6700K (Skylake). VirtualBox, src/VBox/VMM/VMMR3/cpus/
// Intel_Core_i7_6700K.h: a dump of the processor's MSRs.
const MsrValues& Skylake() {
  static const auto* const values = new MsrValues{
      {VmxMsr::kBasic, 0xDA040000000004},
      {VmxMsr::kPinBased, 0x7F00000016},
      {VmxMsr::kProcBased, 0xFFF9FFFE0401E172},
      {VmxMsr::kExit, 0x1FFFFFF00036DFF},
      {VmxMsr::kEntry, 0x3FFFF000011FF},
      {VmxMsr::kMisc, 0x7004C1E7},
      {VmxMsr::kCr0Fixed0, 0x80000021},
      {VmxMsr::kCr0Fixed1, 0xFFFFFFFF},
      {VmxMsr::kCr4Fixed0, 0x2000},
      {VmxMsr::kCr4Fixed1, 0x3727FF},
      {VmxMsr::kVmcsEnum, 0x2E},
      {VmxMsr::kProcBased2, 0x1FFCFF00000000},
      {VmxMsr::kEptVpidCap, 0xF0106334141},
      {VmxMsr::kTruePinBased, 0x7F00000016},
      {VmxMsr::kTrueProcBased, 0xFFF9FFFE04006172},
      {VmxMsr::kTrueExit, 0x1FFFFFF00036DFB},
      {VmxMsr::kTrueEntry, 0x3FFFF000011FB},
      {VmxMsr::kVmfunc, 0x1},
  };
  return *values;
}

// Core 2 X6800 or T7600 (Conroe, Merom), before EPT and the TRUE MSRs.
// VirtualBox, src/VBox/VMM/VMMR3/cpus/Intel_Core2_*.h.
const MsrValues& Core2() {
  static const auto* const values = new MsrValues{
      {VmxMsr::kExit, 0x3FFFF00036DFF}, {VmxMsr::kEntry, 0x3FFF000011FF},
      {VmxMsr::kMisc, 0x403C0},         {VmxMsr::kCr4Fixed1, 0x27FF},
      {VmxMsr::kVmcsEnum, 0x2C},        {VmxMsr::kProcBased2, 0x4100000000}};
  return *values;
}

TEST(VmxCapabilityTest, SkylakePinBased) {
  const VmxCapabilities vmx = Capabilities(Skylake());
  EXPECT_EQ(vmx.Controls(VmxControlGroup::kPinBased).source,
            VmxMsr::kTruePinBased);
  EXPECT_EQ(
      With(vmx, VmxControlGroup::kPinBased, VmxSetting::kEither),
      (std::set<std::string>{"External-interrupt exiting", "NMI exiting",
                             "Virtual NMIs", "Activate VMX-preemption timer"}));
  EXPECT_EQ(With(vmx, VmxControlGroup::kPinBased, VmxSetting::kAlways0),
            std::set<std::string>{"Process posted interrupts"})
      << "desktop parts have no APICv";
}

TEST(VmxCapabilityTest, TheTrueMsrFreesTheCr3Exits) {
  VmxCapabilities vmx = Capabilities(Skylake());
  EXPECT_EQ(With(vmx, VmxControlGroup::kPrimary, VmxSetting::kAlways1),
            std::set<std::string>{});
  vmx = Capabilities({{VmxMsr::kProcBased, 0xFFF9FFFE0401E172}});
  EXPECT_EQ(vmx.Controls(VmxControlGroup::kPrimary).source, VmxMsr::kProcBased);
  EXPECT_EQ(With(vmx, VmxControlGroup::kPrimary, VmxSetting::kAlways1),
            (std::set<std::string>{"CR3-load exiting", "CR3-store exiting"}));
  EXPECT_EQ(With(vmx, VmxControlGroup::kPrimary, VmxSetting::kAlways0),
            std::set<std::string>{"Activate tertiary controls"});
}

TEST(VmxCapabilityTest, SkylakeSecondary) {
  EXPECT_EQ(With(Capabilities(Skylake()), VmxControlGroup::kSecondary,
                 VmxSetting::kAlways0),
            (std::set<std::string>{
                "APIC-register virtualization", "Virtual-interrupt delivery",
                "PASID translation", "Mode-based execute control for EPT",
                "Sub-page write permissions for EPT",
                "Intel PT uses guest physical addresses", "Use TSC scaling",
                "Enable user wait and pause", "Enable PCONFIG",
                "Enable ENCLV exiting", "VMM bus-lock detection",
                "Instruction timeout"}));
}

TEST(VmxCapabilityTest, SkylakeFields) {
  const std::vector<CapabilityGroup> groups =
      VmxCapabilityGroups(Capabilities(Skylake()));
  const CapabilityGroup* const basic =
      FindGroup(groups, "basic VMX information");
  EXPECT_EQ(ValueOf(basic, "VMCS revision identifier"), "4");
  EXPECT_EQ(ValueOf(basic, "VMXON and VMCS region size in bytes"), "1024");
  EXPECT_EQ(ValueOf(basic, "memory type of the VMCS"), "write-back (WB)");
  EXPECT_EQ(ValueOf(basic, "TRUE control MSRs"), "yes");
  EXPECT_EQ(ValueOf(basic, "dual-monitor treatment of SMIs and SMM"), "yes");
  EXPECT_EQ(ValueOf(basic, "physical addresses limited to 32 bits"), "no");
  // The same MSR value as VirtualBox itself decodes it: github.com/
  // myspaghetti/macos-virtualbox/issues/135.
  const CapabilityGroup* const misc = FindGroup(groups, "miscellaneous data");
  EXPECT_EQ(ValueOf(misc, "VMX-preemption timer counts at TSC rate >>"), "7");
  EXPECT_EQ(ValueOf(misc, "VM exits store EFER.LMA in IA-32e mode guest"),
            "yes");
  EXPECT_EQ(ValueOf(misc, "activity state wait-for-SIPI"), "yes");
  EXPECT_EQ(ValueOf(misc, "Intel PT in VMX operation"), "yes");
  EXPECT_EQ(ValueOf(misc, "CR3-target values"), "4");
  EXPECT_EQ(ValueOf(misc, "VMWRITE to all VMCS fields"), "yes");
  EXPECT_EQ(ValueOf(misc, "injection with instruction length 0"), "yes");
  EXPECT_EQ(ValueOf(misc, "undefined bits"), "no such fact");
  const CapabilityGroup* const ept =
      FindGroup(groups, "VPID and EPT capabilities");
  for (const char* const name :
       {"EPT execute-only translations", "EPT page-walk length 4",
        "EPT memory type write-back (WB)", "EPT 2-MByte pages",
        "EPT 1-GByte pages", "INVEPT", "EPT accessed and dirty flags",
        "INVVPID single-context-retaining-globals"}) {
    EXPECT_EQ(ValueOf(ept, name), "yes") << name;
  }
  EXPECT_EQ(ValueOf(ept, "EPT page-walk length 5"), "no");
  EXPECT_EQ(ValueOf(ept, "advanced VM-exit information for EPT violations"),
            "no");
  EXPECT_EQ(ValueOf(FindGroup(groups, "VMCS enumeration"),
                    "highest index of a VMCS field encoding"),
            "23");
  EXPECT_EQ(ValueOf(FindGroup(groups, "VM functions"), "EPTP switching"),
            "yes");
  EXPECT_EQ(ValueOf(FindGroup(groups, "CR4 bits fixed in VMX operation"),
                    "CR4_FIXED0: must be 1"),
            "0x2000")
      << "VMXE";
  EXPECT_EQ(FindGroup(groups, "tertiary processor-based VM-execution controls"),
            nullptr);
}

// Sandy Bridge, Sandy Bridge-E, Ivy Bridge, Broadwell, as dumped in VirtualBox,
// src/VBox/VMM/VMMR3/cpus/Intel_Core_i{5,7}_*.h.
TEST(VmxCapabilityTest, SecondaryControlsGrewWithTheGenerations) {
  const auto names = [](std::uint64_t value) {
    return With(Capabilities({{VmxMsr::kProcBased2, value}}),
                VmxControlGroup::kSecondary, VmxSetting::kEither);
  };
  const std::set<std::string> sandy_bridge = {
      "Virtualize APIC accesses", "Enable EPT",
      "Descriptor-table exiting", "Enable RDTSCP",
      "Virtualize x2APIC mode",   "Enable VPID",
      "WBINVD exiting",           "Unrestricted guest"};
  EXPECT_EQ(names(0xFF00000000), sandy_bridge);
  std::set<std::string> with_ple = sandy_bridge;
  with_ple.insert("PAUSE-loop exiting");
  EXPECT_EQ(names(0x4FF00000000), with_ple);
  std::set<std::string> ivy_bridge = sandy_bridge;
  ivy_bridge.insert("RDRAND exiting");
  EXPECT_EQ(names(0x8FF00000000), ivy_bridge);
  std::set<std::string> broadwell = sandy_bridge;
  broadwell.merge(std::set<std::string>{"PAUSE-loop exiting", "RDRAND exiting",
                                        "Enable INVPCID", "Enable VM functions",
                                        "VMCS shadowing", "RDSEED exiting",
                                        "EPT-violation #VE"});
  EXPECT_EQ(names(0x57CFF00000000), broadwell);
}

TEST(VmxCapabilityTest, Core2HadFlexPriorityAndNoEpt) {
  const VmxCapabilities vmx = Capabilities(Core2());
  EXPECT_EQ(
      With(vmx, VmxControlGroup::kSecondary, VmxSetting::kEither),
      (std::set<std::string>{"Virtualize APIC accesses", "WBINVD exiting"}));
  EXPECT_EQ(With(vmx, VmxControlGroup::kExit, VmxSetting::kAlways1),
            std::set<std::string>{"Save debug controls"});
  EXPECT_FALSE(vmx.Exists(VmxMsr::kEptVpidCap));
  EXPECT_FALSE(vmx.Exists(VmxMsr::kVmfunc));
  EXPECT_FALSE(vmx.Exists(VmxMsr::kTruePinBased));
}

// github.com/devanshudighe/CMPE283, README.md: values and "can set", "can
// clear" of each control as the authors decoded them.
TEST(VmxCapabilityTest, AnothersDecodingOfEntryAndExitControls) {
  const VmxCapabilities vmx =
      Capabilities({{VmxMsr::kEntry, 0x3FFFF000011FF},
                    {VmxMsr::kExit, 0x1FFFFFF00036DFF},
                    {VmxMsr::kProcBased2, 0x3CFF00000000}});
  EXPECT_EQ(With(vmx, VmxControlGroup::kEntry, VmxSetting::kAlways1),
            std::set<std::string>{"Load debug controls"});
  EXPECT_EQ(With(vmx, VmxControlGroup::kEntry, VmxSetting::kEither),
            (std::set<std::string>{
                "IA-32e mode guest", "Entry to SMM",
                "Deactivate dual-monitor treatment",
                "Load IA32_PERF_GLOBAL_CTRL", "Load IA32_PAT", "Load IA32_EFER",
                "Load IA32_BNDCFGS", "Conceal VMX from PT"}));
  EXPECT_EQ(
      With(vmx, VmxControlGroup::kExit, VmxSetting::kEither),
      (std::set<std::string>{
          "Host address-space size", "Load IA32_PERF_GLOBAL_CTRL",
          "Acknowledge interrupt on exit", "Save IA32_PAT", "Load IA32_PAT",
          "Save IA32_EFER", "Load IA32_EFER", "Save VMX-preemption timer value",
          "Clear IA32_BNDCFGS", "Conceal VMX from PT"}));
  EXPECT_EQ(
      With(vmx, VmxControlGroup::kSecondary, VmxSetting::kEither),
      (std::set<std::string>{
          "Virtualize APIC accesses", "Enable EPT", "Descriptor-table exiting",
          "Enable RDTSCP", "Virtualize x2APIC mode", "Enable VPID",
          "WBINVD exiting", "Unrestricted guest", "PAUSE-loop exiting",
          "RDRAND exiting", "Enable INVPCID", "Enable VM functions"}));
}

// github.com/jasonliu96/linux, cmpe283/MODULE_OUTPUT.md: a nested VMX, decoded
// by its author. No preemption timer, no perf controls, no dual monitor.
TEST(VmxCapabilityTest, AnothersDecodingOfANestedProcessor) {
  const VmxCapabilities vmx =
      Capabilities({{VmxMsr::kPinBased, 0x3F00000016},
                    {VmxMsr::kProcBased2, 0x553CFE00000000},
                    {VmxMsr::kExit, 0x3FEFFF00036DFF},
                    {VmxMsr::kEntry, 0xD3FF000011FF}});
  EXPECT_EQ(With(vmx, VmxControlGroup::kPinBased, VmxSetting::kAlways0),
            (std::set<std::string>{"Activate VMX-preemption timer",
                                   "Process posted interrupts"}));
  EXPECT_EQ(With(vmx, VmxControlGroup::kSecondary, VmxSetting::kEither),
            (std::set<std::string>{
                "Enable EPT", "Descriptor-table exiting", "Enable RDTSCP",
                "Virtualize x2APIC mode", "Enable VPID", "WBINVD exiting",
                "Unrestricted guest", "PAUSE-loop exiting", "RDRAND exiting",
                "Enable INVPCID", "Enable VM functions", "RDSEED exiting",
                "EPT-violation #VE", "Enable XSAVES/XRSTORS",
                "Mode-based execute control for EPT"}));
  EXPECT_EQ(With(vmx, VmxControlGroup::kExit, VmxSetting::kEither),
            (std::set<std::string>{"Host address-space size",
                                   "Acknowledge interrupt on exit",
                                   "Save IA32_PAT", "Load IA32_PAT",
                                   "Save IA32_EFER", "Load IA32_EFER"}));
  EXPECT_EQ(With(vmx, VmxControlGroup::kEntry, VmxSetting::kEither),
            (std::set<std::string>{"IA-32e mode guest", "Load IA32_PAT",
                                   "Load IA32_EFER"}));
}

TEST(VmxCapabilityTest, TheSixtyFourBitGroupsMayAllBe0) {
  const VmxCapabilities vmx =
      Capabilities({{VmxMsr::kProcBased3, 0x10}, {VmxMsr::kExit2, 0x8}});
  EXPECT_EQ(With(vmx, VmxControlGroup::kTertiary, VmxSetting::kEither),
            std::set<std::string>{"IPI virtualization"});
  EXPECT_EQ(With(vmx, VmxControlGroup::kTertiary, VmxSetting::kAlways1),
            std::set<std::string>{});
  EXPECT_EQ(With(vmx, VmxControlGroup::kSecondaryExit, VmxSetting::kEither),
            std::set<std::string>{"Prematurely busy shadow stack"});
}

TEST(VmxCapabilityTest, AdjustAddsWhatMustBeAndTakesWhatCannot) {
  const VmxControls controls =
      Capabilities(Skylake()).Controls(VmxControlGroup::kPinBased);
  EXPECT_EQ(controls.Adjust(0x09), 0x1Fu);  // default1 bits 1, 2, 4 join
  EXPECT_EQ(controls.Adjust(0x80), 0x16u);  // posted interrupts go
}

TEST(VmxCapabilityTest, OnlyMsrsThatAreThereAreReadable) {
  VmxCapabilities vmx = Capabilities(Skylake());
  EXPECT_TRUE(vmx.Exists(VmxMsr::kVmfunc));
  EXPECT_TRUE(vmx.Exists(VmxMsr::kTrueEntry));
  EXPECT_FALSE(vmx.Exists(VmxMsr::kProcBased3));
  EXPECT_FALSE(vmx.Exists(VmxMsr::kExit2));
  vmx.Set(VmxMsr::kTrueProcBased, 0xFFFBFFFE04006172);
  EXPECT_TRUE(vmx.Exists(VmxMsr::kProcBased3));
  vmx.Set(VmxMsr::kTrueExit, 0x81FFFFFF00036DFB);
  EXPECT_TRUE(vmx.Exists(VmxMsr::kExit2));
  EXPECT_FALSE(VmxCapabilities().Exists(VmxMsr::kProcBased2));
}

TEST(VmxCapabilityTest, EveryGroupIsInOrderAndHasNames) {
  for (int i = 0; i < static_cast<int>(VmxControlGroup::kCount); ++i) {
    const auto group = static_cast<VmxControlGroup>(i);
    int last = -1;
    for (const BitField& control : VmxControlFields(group)) {
      EXPECT_GT(control.low, last) << VmxControlGroupName(group);
      last = control.low;
    }
    EXPECT_GE(last, 3);
  }
}

// A host of a test's making.
CapabilitySources Sources(const MsrValues& values, bool readable) {
  CapabilitySources sources;
  sources.msr_source = "/dev/cpu/0/msr";
  sources.read_msr =
      [values, readable](std::uint32_t index) -> absl::StatusOr<std::uint64_t> {
    if (!readable) return absl::PermissionDeniedError("EACCES; be root");
    if (index == VmxFeatureControl::kMsr) return 5;
    for (const auto& [msr, value] : values) {
      if (static_cast<std::uint32_t>(msr) == index) return value;
    }
    ADD_FAILURE() << "read of an MSR that is not there: " << index;
    return absl::NotFoundError("#GP");
  };
  sources.cpu.cpuid = [](std::uint32_t leaf, std::uint32_t) -> CpuidResult {
    return {.eax = 0, .ebx = 0, .ecx = leaf == 1 ? 1u << 5 : 0, .edx = 0};
  };
  sources.kvm_source = "/dev/kvm";
  return sources;
}

TEST(VmxReportTest, TheProcessorsOwnMsrsComeFirst) {
  CapabilitySources sources = Sources(Skylake(), true);
  // What KVM offers is less.
  sources.kvm_feature_msrs = std::map<std::uint32_t, std::uint64_t>{
      {0x480, 0xDA040000000004}, {0x48B, 0x200000000}, {0x8B, 1}};
  const std::vector<CapabilityReport> reports = VmxReports(sources);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].of, "the processor");
  EXPECT_EQ(reports[0].source, "/dev/cpu/0/msr");
  EXPECT_EQ(reports[0].note, "");
  const char* const kSecondary =
      "secondary processor-based VM-execution controls";
  EXPECT_EQ(
      ValueOf(FindGroup(reports[0].groups, kSecondary), "Unrestricted guest"),
      "0 or 1");
  EXPECT_EQ(ValueOf(FindGroup(reports[0].groups, "what firmware allows"),
                    "VMX outside SMX"),
            "yes");
  EXPECT_THAT(reports[1].of, HasSubstr("nested guests"));
  EXPECT_THAT(reports[1].source, HasSubstr("KVM_GET_MSRS"));
  EXPECT_EQ(ValueOf(FindGroup(reports[1].groups, kSecondary), "Enable EPT"),
            "0 or 1");
  EXPECT_EQ(
      ValueOf(FindGroup(reports[1].groups, kSecondary), "Unrestricted guest"),
      "always 0");
}

TEST(VmxReportTest, WithoutThemTheKernelsFlagsStandIn) {
  CapabilitySources sources = Sources({}, false);
  sources.cpuinfo =
      "processor\t: 0\nflags\t\t: fpu vmx\n"
      "vmx flags\t: vnmi preemption_timer ept_ad unrestricted_guest new_one\n";
  const CapabilityReport report = VmxReports(sources)[0];
  EXPECT_EQ(report.source, "\"vmx flags\" of /proc/cpuinfo");
  EXPECT_THAT(report.note, HasSubstr("EACCES; be root"));
  ASSERT_EQ(report.groups.size(), 1u);
  EXPECT_EQ(ValueOf(report.groups.data(), "Virtual NMIs (vnmi)"), "yes");
  EXPECT_EQ(
      ValueOf(report.groups.data(), "EPT accessed and dirty flags (ept_ad)"),
      "yes");
  EXPECT_EQ(ValueOf(report.groups.data(), "new_one"), "yes");
  sources.cpuinfo.clear();
  EXPECT_THAT(VmxReports(sources)[0].note, HasSubstr("no \"vmx flags\" line"));
}

TEST(VmxReportTest, AProcessorWithoutVmxSaysSo) {
  CapabilitySources sources = Sources({}, false);
  sources.cpu.cpuid = [](std::uint32_t, std::uint32_t) {
    return CpuidResult{};
  };
  const std::vector<CapabilityReport> reports = VmxReports(sources);
  EXPECT_THAT(reports[0].note, HasSubstr("no VMX"));
  EXPECT_THAT(reports[0].groups, IsEmpty());
  EXPECT_EQ(reports[1].note, "not asked");
  sources.kvm_feature_msrs =
      std::map<std::uint32_t, std::uint64_t>{{0x8B, 1}, {0xCE, 2}};
  EXPECT_THAT(VmxReports(sources)[1].note,
              HasSubstr("none of the 2 feature MSRs"));
}

}  // namespace
}  // namespace worldswitch
