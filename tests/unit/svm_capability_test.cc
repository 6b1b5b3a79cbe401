// SVM features of real processors, decoded: CPUID leaves that others published,
// against what is known of the processor.

#include "backends/svm_amd/svm_capability.h"

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "backends/svm_amd/svm_report.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The short names of the features that are set.
std::set<std::string> Features(std::uint32_t edx) {
  std::set<std::string> names;
  const std::vector<CapabilityGroup> groups =
      SvmCapabilityGroups({.eax = 1, .ebx = 0, .ecx = 0, .edx = edx});
  for (const CapabilityGroup& group : groups) {
    if (group.name != "SVM features") continue;
    for (const Fact& fact : group.facts) {
      if (fact.value == "no") continue;
      const std::vector<std::string> parts = absl::StrSplit(fact.name, ": ");
      names.insert(parts[0]);
    }
  }
  return names;
}

// Leaf 8000_000A of each: VirtualBox, src/VBox/VMM/VMMR3/cpus/
// AMD_Phenom_II_X6_1100T.h, AMD_FX_8150_Eight_Core.h and
// AMD_Ryzen_7_1800X_Eight_Core.h.
constexpr CpuidResult kPhenomII = {1, 0x40, 0, 0x40F};
constexpr CpuidResult kBulldozer = {1, 0x10000, 0, 0x14FF};
constexpr CpuidResult kZen = {1, 0x8000, 0, 0x1BCFF};

TEST(SvmCapabilityTest, PhenomIIHadPauseFilterAndNoCleanBits) {
  EXPECT_EQ(
      Features(kPhenomII.edx),
      (std::set<std::string>{"NP", "LbrVirt", "SVML", "NRIPS", "PauseFilter"}));
}

TEST(SvmCapabilityTest, BulldozerBroughtDecodeAssists) {
  EXPECT_EQ(
      Features(kBulldozer.edx),
      (std::set<std::string>{"NP", "LbrVirt", "SVML", "NRIPS", "TscRateMsr",
                             "VmcbClean", "FlushByAsid", "DecodeAssists",
                             "PauseFilter", "PauseFilterThreshold"}));
}

TEST(SvmCapabilityTest, ZenBroughtAvicAndVgif) {
  EXPECT_EQ(
      Features(kZen.edx),
      (std::set<std::string>{
          "NP", "LbrVirt", "SVML", "NRIPS", "TscRateMsr", "VmcbClean",
          "FlushByAsid", "DecodeAssists", "PauseFilter", "EncryptedMcodePatch",
          "PauseFilterThreshold", "AVIC", "VMSAVEvirt", "VGIF"}));
  const std::vector<CapabilityGroup> groups = SvmCapabilityGroups(kZen);
  EXPECT_EQ(groups[0].facts[0].value, "1");
  EXPECT_EQ(groups[1].facts[0].value, "32768");
}

// QEMU's TCG, as it runs the AMD lab: NP, VGIF and the address check alone.
TEST(SvmCapabilityTest, QemuTcg) {
  EXPECT_EQ(Features(0x10010001),
            (std::set<std::string>{"NP", "VGIF", "NestedVirtVmcbAddrChk"}));
}

TEST(SvmCapabilityTest, BitsThatCodeAsksFor) {
  static_assert(SvmFeatureEdx::kNrips.IsSet(kZen.edx));
  static_assert(!SvmFeatureEdx::kVnmi.IsSet(kZen.edx));
  static_assert(SvmFeatureEdx::kVnmi.Mask() == 1u << 25);
  static_assert(SvmFeatureEdx::kX2avic.Mask() == 1u << 18);
  static_assert(SvmFeatureEdx::kIdleHlt.Mask() == 1u << 30);
  std::uint64_t seen = 0;
  for (const BitField& field : SvmFeatureEdx::kAll) {
    EXPECT_EQ(seen & field.Mask(), 0u) << field.name;
    EXPECT_GT(field.Mask(), seen) << field.name << " is out of order";
    seen |= field.Mask();
  }
}

TEST(SvmCapabilityTest, AnUnknownFeatureShows) {
  EXPECT_EQ(Features(1u << 22), std::set<std::string>{"undefined bits"});
}

CapabilitySources Sources(bool with_svm) {
  CapabilitySources sources;
  sources.msr_source = "/dev/cpu/0/msr";
  sources.read_msr = [](std::uint32_t index) -> absl::StatusOr<std::uint64_t> {
    EXPECT_EQ(index, kVmCrMsr);
    return 0x18;
  };
  sources.cpu.cpuid = [with_svm](std::uint32_t leaf,
                                 std::uint32_t) -> CpuidResult {
    switch (leaf) {
      case 0x80000000:
        return {0x8000001F, 0, 0, 0};
      case 0x80000001:
        return {0, 0, with_svm ? 4u : 0u, 0};
      case 0x8000000A:
        return kZen;
      default:
        return {};
    }
  };
  sources.kvm_source = "/dev/kvm";
  return sources;
}

TEST(SvmReportTest, TheProcessorAndBesideItKvmsOffer) {
  CapabilitySources sources = Sources(true);
  sources.kvm_cpuid = {{0x80000001, {0, 0, 4, 0}}, {0x8000000A, kPhenomII}};
  const std::vector<CapabilityReport> reports = SvmReports(sources);
  ASSERT_EQ(reports.size(), 2u);
  EXPECT_EQ(reports[0].of, "the processor");
  EXPECT_EQ(reports[0].source, "CPUID, /dev/cpu/0/msr");
  ASSERT_EQ(reports[0].groups.size(), 5u);
  EXPECT_EQ(reports[0].groups[2].value, kZen.edx);
  EXPECT_EQ(reports[0].groups[4].facts[4].name, "SVMDIS: SVM disabled");
  EXPECT_EQ(reports[0].groups[4].facts[4].value, "yes");
  EXPECT_THAT(reports[1].of, HasSubstr("nested guests"));
  EXPECT_EQ(reports[1].groups[2].value, kPhenomII.edx);
}

TEST(SvmReportTest, AProcessorWithoutSvmSaysSo) {
  CapabilitySources sources = Sources(false);
  sources.kvm_cpuid = {{0x80000001, {0, 0, 0, 0}}};
  const std::vector<CapabilityReport> reports = SvmReports(sources);
  EXPECT_THAT(reports[0].note, HasSubstr("no SVM"));
  EXPECT_THAT(reports[0].groups, IsEmpty());
  EXPECT_THAT(reports[1].note, HasSubstr("offers no SVM"));
}

TEST(SvmReportTest, AnUnreadableMsrIsSaidAndTheRestShown) {
  CapabilitySources sources = Sources(true);
  sources.read_msr = [](std::uint32_t) -> absl::StatusOr<std::uint64_t> {
    return absl::PermissionDeniedError("EACCES; be root");
  };
  const CapabilityReport report = SvmReports(sources)[0];
  EXPECT_THAT(report.note, HasSubstr("EACCES; be root"));
  EXPECT_EQ(report.groups.size(), 4u);
}

}  // namespace
}  // namespace worldswitch
