#include "core/host/lab_environment.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

TEST(LabEnvironmentTest, ComesBackAsItWas) {
  LabEnvironment lab;
  lab.date = "2026-01-02T03:04:05+00:00";
  lab.facts = {{"emulator", "QEMU 7.2"},
               {"module_parameters", "kvm_amd.npt=0"}};
  const LabEnvironment back = ParseLabEnvironment(LabEnvironmentText(lab));
  EXPECT_EQ(back.date, lab.date);
  ASSERT_EQ(back.facts.size(), 2u);
  EXPECT_EQ(back.facts[0].name, "emulator");
  EXPECT_EQ(back.facts[0].value, "QEMU 7.2");
  EXPECT_EQ(back.facts[1].value, "kvm_amd.npt=0");
}

TEST(LabEnvironmentTest, AValueCannotForgeAnother) {
  LabEnvironment lab;
  lab.facts = {{"cpu_model", "max;date=never\n"}};
  const LabEnvironment back = ParseLabEnvironment(LabEnvironmentText(lab));
  EXPECT_EQ(back.date, "");
  ASSERT_EQ(back.facts.size(), 1u);
  EXPECT_EQ(back.facts[0].value, "max?date=never?");
}

TEST(LabEnvironmentTest, OutsideALabTheUnitIsTicks) {
  ASSERT_EQ(getenv(kLabVariable), nullptr);
  EXPECT_FALSE(ThisLab().has_value());
  EXPECT_STREQ(HostUnit(), "ticks");
}

// As /proc/cpuinfo of a Zen CPU begins, shortened.
TEST(PathFeaturesTest, OfSvm) {
  const PathFeatures features = FindPathFeatures(
      "processor\t: 0\nvendor_id\t: AuthenticAMD\n"
      "flags\t\t: fpu svm npt lbrv nrip_save tsc_scale vmcb_clean flushbyasid "
      "decodeassists pausefilter pfthreshold\n");
  EXPECT_THAT(features.present, Contains("nrip_save"));
  EXPECT_THAT(features.present, Contains("decodeassists"));
  EXPECT_THAT(features.absent,
              ElementsAre(StartsWith("avic ("), StartsWith("vgif ("),
                          StartsWith("vnmi (")));
}

TEST(PathFeaturesTest, OfVmxAndOnlyTheFirstCpu) {
  const PathFeatures features = FindPathFeatures(
      "flags\t\t: fpu vmx\nvmx flags\t: vnmi ept vpid unrestricted_guest\n"
      "flags\t\t: fpu vmx\nvmx flags\t: pml\n");
  EXPECT_THAT(features.present,
              ElementsAre("ept", "vpid", "unrestricted_guest", "vnmi"));
  EXPECT_THAT(features.absent, Contains(StartsWith("pml (")));
  EXPECT_THAT(features.absent, Not(Contains(StartsWith("ept ("))));
}

TEST(PathFeaturesTest, OfNeither) {
  const PathFeatures features = FindPathFeatures("flags\t\t: fpu\n");
  EXPECT_THAT(features.present, IsEmpty());
  EXPECT_THAT(features.absent, IsEmpty());
}

}  // namespace
}  // namespace worldswitch
