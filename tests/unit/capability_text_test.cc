// Capability reports as people and programs get them.

#include "cli/capability_text.h"

#include <sstream>
#include <string>

#include "backends/vmx_intel/vmx_report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

CapabilityReport Report() {
  VmxCapabilities vmx;
  vmx.Set(VmxMsr::kBasic, 0xDA040000000004);
  vmx.Set(VmxMsr::kProcBased, 0xFFF9FFFE0401E172);
  vmx.Set(VmxMsr::kProcBased2, 0x1FFCFF00000000);
  CapabilityReport report;
  report.vendor = "VT-x";
  report.of = "the processor";
  report.source = "/dev/cpu/0/msr";
  report.groups = VmxCapabilityGroups(vmx);
  return report;
}

TEST(CapabilityTextTest, NamesThatShareASettingShareAParagraph) {
  const std::string text = CapabilityText(Report());
  EXPECT_THAT(text, StartsWith("  VT-x, the processor (/dev/cpu/0/msr)\n"));
  EXPECT_THAT(
      text, HasSubstr("\n    basic VMX information: IA32_VMX_BASIC (0x480) = "
                      "0xda040000000004\n      VMCS revision identifier: 4\n"));
  EXPECT_THAT(text, HasSubstr("\n      always 1: CR3-load exiting, CR3-store "
                              "exiting\n      0 or 1:   Interrupt-window"));
  EXPECT_THAT(text,
              HasSubstr("\n      always 0: Activate tertiary controls\n"));
}

TEST(CapabilityTextTest, LinesFitTheTerminal) {
  std::istringstream text(CapabilityText(Report()));
  int lines = 0;
  for (std::string line; std::getline(text, line); ++lines) {
    EXPECT_LE(line.size(), 100u) << line;
    EXPECT_NE(line.back(), ' ') << line;
  }
  EXPECT_GT(lines, 15);
}

TEST(CapabilityTextTest, ANoteStandsWhereThereIsNothing) {
  CapabilityReport report = Report();
  report.groups.clear();
  report.note = "bit 5 is 0: no VMX here";
  EXPECT_EQ(CapabilityText(report),
            "  VT-x, the processor (/dev/cpu/0/msr)\n    bit 5 is 0: no VMX "
            "here\n");
}

TEST(CapabilityTextTest, Json) {
  const nlohmann::ordered_json json = CapabilityJson(Report());
  EXPECT_EQ(json["vendor"], "VT-x");
  EXPECT_EQ(json["source"], "/dev/cpu/0/msr");
  const auto& secondary = json["registers"][2];
  EXPECT_EQ(secondary["name"],
            "secondary processor-based VM-execution controls");
  EXPECT_EQ(secondary["register"], "IA32_VMX_PROCBASED_CTLS2 (0x48b)");
  EXPECT_EQ(secondary["value"], "0x1ffcff00000000");
  EXPECT_EQ(secondary["fields"]["Enable EPT"], "0 or 1");
  EXPECT_EQ(secondary["fields"]["Use TSC scaling"], "always 0");
}

}  // namespace
}  // namespace worldswitch
