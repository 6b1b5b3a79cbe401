#include "core/host/distortions.h"

#include <string>
#include <vector>

#include "core/host/fingerprint.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/fake_host.h"

namespace worldswitch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::vector<std::string> NamesOf(const std::vector<Distortion>& distortions) {
  std::vector<std::string> names;
  names.reserve(distortions.size());
  for (const Distortion& distortion : distortions) {
    names.push_back(distortion.name);
  }
  return names;
}

TEST(DistortionsTest, QuietHostHasNone) {
  const FakeHost host;
  host.WriteQuiet();
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  EXPECT_THAT(NamesOf(FindDistortions(print, 3)), IsEmpty());
}

TEST(DistortionsTest, WhatIsNotKnownIsNotHeldAgainstTheHost) {
  const FakeHost host;
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  EXPECT_THAT(NamesOf(FindDistortions(print, -1)), ElementsAre("not pinned"));
}

TEST(DistortionsTest, RunningNestedNamesTheHypervisor) {
  const FakeHost host;
  host.WriteQuiet();
  const Fingerprint print =
      ReadFingerprint(host.root(), FakeCpu(GuestLeaves(), 2.5e9));
  EXPECT_EQ(print.ValueOf("cpu.hypervisor"), "KVMKVMKVM");
  const std::vector<Distortion> found = FindDistortions(print, 3);
  ASSERT_THAT(NamesOf(found), ElementsAre("nested"));
  EXPECT_THAT(found[0].why, HasSubstr("KVMKVMKVM"));
}

TEST(DistortionsTest, CpuZeroAndNoPinningAreFound) {
  const FakeHost host;
  host.WriteQuiet();
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  EXPECT_THAT(NamesOf(FindDistortions(print, 0)), ElementsAre("cpu 0"));
  EXPECT_THAT(NamesOf(FindDistortions(print, -1)), ElementsAre("not pinned"));
}

// One file changed on a quiet host, and what that is called.
struct Trouble {
  const char* path;
  const char* text;
  const char* name;
};
class DistortionFromFile : public testing::TestWithParam<Trouble> {};

TEST_P(DistortionFromFile, IsFoundWithItsRemedy) {
  const FakeHost host;
  host.WriteQuiet();
  host.Write(GetParam().path, GetParam().text);
  const std::vector<Distortion> found =
      FindDistortions(ReadFingerprint(host.root(), BareCpu()), 3);
  ASSERT_THAT(NamesOf(found), ElementsAre(GetParam().name));
  for (const std::string& line : {found[0].why, found[0].remedy}) {
    EXPECT_THAT(line, AllOf(Not(IsEmpty()), Not(HasSubstr("\n"))));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Files, DistortionFromFile,
    testing::Values(
        Trouble{"sys/devices/system/cpu/cpu3/cpufreq/scaling_governor",
                "powersave\n", "governor"},
        Trouble{"sys/devices/system/cpu/intel_pstate/no_turbo", "0\n", "turbo"},
        Trouble{"sys/devices/system/cpu/cpu3/topology/thread_siblings_list",
                "1,3\n", "smt"},
        Trouble{"sys/devices/system/cpu/isolated", "\n", "not isolated"},
        Trouble{"sys/devices/system/clocksource/clocksource0/"
                "current_clocksource",
                "hpet\n", "clocksource"},
        Trouble{"proc/loadavg", "1.01 0.00 0.00 1/2 3\n", "load"},
        Trouble{"sys/kernel/mm/ksm/run", "1\n", "ksm"},
        Trouble{"proc/sys/kernel/numa_balancing", "1\n", "numa balancing"},
        Trouble{"sys/kernel/tracing/events/kvm/enable", "1\n", "tracing"},
        Trouble{"sys/kernel/tracing/events/kvm/enable", "X\n", "tracing"},
        Trouble{"sys/kernel/tracing/current_tracer", "function\n", "tracer"},
        Trouble{"boot/config-6.1.0-test", "CONFIG_A=y\nCONFIG_KASAN=y\n",
                "debug kernel"}));

TEST(DistortionsTest, GovernorOfAnotherCpuDoesNotMatter) {
  const FakeHost host;
  host.WriteQuiet();
  host.Write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
             "powersave\n");
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  EXPECT_EQ(print.ValueOf("cpu.governor"), "performance and powersave");
  EXPECT_THAT(NamesOf(FindDistortions(print, 3)), IsEmpty());
}

TEST(DistortionsTest, MitigationsAreFactsNotDistortions) {
  const FakeHost host;
  host.WriteQuiet();
  host.Write("proc/cmdline", "mitigations=off isolcpus=3\n");
  host.Write("sys/devices/system/cpu/vulnerabilities/l1tf", "Vulnerable\n");
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  EXPECT_EQ(print.ValueOf("cmdline.mitigations"), "off");
  EXPECT_THAT(NamesOf(FindDistortions(print, 3)), IsEmpty());
}

TEST(DistortionsTest, TscThatIsNotInvariant) {
  const FakeHost host;
  host.WriteQuiet();
  auto leaves = BareLeaves();
  leaves[0x80000007].edx = 0;
  const Fingerprint print =
      ReadFingerprint(host.root(), FakeCpu(leaves, 2.5e9));
  EXPECT_THAT(NamesOf(FindDistortions(print, 3)), ElementsAre("tsc"));
}

TEST(DistortionsTest, InALabOnlyWhatChangesThePath) {
  Fingerprint print;
  print.facts = {{"lab.emulator", "QEMU 7.2"},
                 {"cpu.hypervisor", "TCGTCGTCGTCG"},
                 {"now.load", "9.00 9.00 9.00 1/1 1"},
                 {"now.kvm_events", "1"},
                 {"now.tracer", "nop"},
                 {"kernel.debug", kNoValue}};
  EXPECT_THAT(NamesOf(FindDistortions(print, 0)), ElementsAre("tracing"));
}

}  // namespace
}  // namespace worldswitch
