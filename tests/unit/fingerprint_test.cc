#include "core/host/fingerprint.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::MatchesRegex;
using testing::Not;

constexpr char kCpuInfo[] =
    "processor\t: 0\n"
    "vendor_id\t: GenuineIntel\n"
    "cpu family\t: 6\n"
    "model\t\t: 85\n"
    "model name\t: Some CPU @ 2.50GHz\n"
    "stepping\t: 7\n"
    "microcode\t: 0x5003901\n"
    "flags\t\t: fpu vme rdtscp constant_tsc nonstop_tsc vmx x2apic\n"
    "\n"
    "processor\t: 3\n"
    "vendor_id\t: GenuineIntel\n"
    "microcode\t: 0x1\n";

// A root with the files of a host of our own making.
class FakeHost {
 public:
  FakeHost() {
    std::string pattern = testing::TempDir() + "fingerprint.XXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~FakeHost() { std::filesystem::remove_all(root_); }
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;

  void Write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path, std::ios::trunc) << text;
  }
  // A host on which nothing distorts measurements on CPU 3.
  void WriteQuiet() const {
    const std::string cpu = "sys/devices/system/cpu/";
    Write("proc/cpuinfo", kCpuInfo);
    Write("proc/cmdline", "ro mitigations=auto isolcpus=3 quiet\n");
    Write("proc/loadavg", "0.10 0.20 0.30 1/200 4242\n");
    Write("proc/sys/kernel/osrelease", "6.1.0-test\n");
    Write("proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC\n");
    Write("proc/sys/kernel/numa_balancing", "0\n");
    Write(
        "boot/config-6.1.0-test",
        "CONFIG_SMP=y\n# CONFIG_KASAN is not set\nCONFIG_LOCKDEP_SUPPORT=y\n");
    Write("sys/devices/system/clocksource/clocksource0/current_clocksource",
          "tsc\n");
    Write(cpu + "isolated", "2-3\n");
    Write(cpu + "nohz_full", "  (null)\n");
    Write(cpu + "smt/active", "0\n");
    Write(cpu + "intel_pstate/no_turbo", "1\n");
    for (const char* number : {"0", "3"}) {
      Write(absl::StrCat(cpu, "cpu", number, "/cpufreq/scaling_governor"),
            "performance\n");
      Write(absl::StrCat(cpu, "cpu", number, "/topology/thread_siblings_list"),
            absl::StrCat(number, "\n"));
    }
    Write(cpu + "vulnerabilities/spectre_v2", "Mitigation: Retpolines\n");
    Write(cpu + "vulnerabilities/l1tf", "Not affected\n");
    Write("sys/kernel/mm/transparent_hugepage/enabled",
          "always [madvise] never\n");
    Write("sys/kernel/mm/ksm/run", "0\n");
    Write("sys/module/kvm/parameters/halt_poll_ns", "200000\n");
    Write("sys/module/kvm_other/parameters/nested", "Y\n");
    Write("sys/module/unrelated/parameters/kvm", "1\n");
    Write("sys/kernel/tracing/events/kvm/enable", "0\n");
    Write("sys/kernel/tracing/current_tracer", "nop\n");
  }
  std::string root() const { return root_.string(); }

 private:
  std::filesystem::path root_;
};

// A CPU that answers from a table, and 0 otherwise.
CpuSource FakeCpu(std::map<std::uint32_t, CpuidResult> leaves,
                  double measured_hz) {
  return {[leaves = std::move(leaves)](std::uint32_t leaf, std::uint32_t) {
            const auto found = leaves.find(leaf);
            return found == leaves.end() ? CpuidResult{} : found->second;
          },
          [measured_hz] { return measured_hz; }};
}

// Bare metal, invariant TSC of 25 MHz * 100 / 1 = 2.5 GHz.
std::map<std::uint32_t, CpuidResult> BareLeaves() {
  return {{0, {.eax = 0x16}},
          {0x15, {.eax = 1, .ebx = 100, .ecx = 25'000'000}},
          {0x80000000, {.eax = 0x80000008}},
          {0x80000007, {.edx = 1U << 8}}};
}
CpuSource BareCpu() { return FakeCpu(BareLeaves(), 2'500'000'100); }

std::map<std::uint32_t, CpuidResult> GuestLeaves() {
  std::map<std::uint32_t, CpuidResult> leaves = BareLeaves();
  leaves[1].ecx = 1U << 31;
  leaves[0x15] = {};
  leaves[0x40000000] = {
      .eax = 0x40000010, .ebx = 0x4b4d564b, .ecx = 0x564b4d56, .edx = 0x4d};
  return leaves;
}

std::vector<std::string> NamesOf(const std::vector<Distortion>& distortions) {
  std::vector<std::string> names;
  names.reserve(distortions.size());
  for (const Distortion& distortion : distortions) {
    names.push_back(distortion.name);
  }
  return names;
}

TEST(FingerprintTest, ReadsTheFactsOfAHost) {
  const FakeHost host;
  host.WriteQuiet();
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  const std::map<std::string, std::string> expected = {
      {"cpu.vendor", "GenuineIntel"},
      {"cpu.model_name", "Some CPU @ 2.50GHz"},
      {"cpu.family", "6"},
      {"cpu.model", "85"},
      {"cpu.stepping", "7"},
      {"cpu.microcode", "0x5003901"},
      {"cpu.flags", "constant_tsc nonstop_tsc rdtscp x2apic vmx"},
      {"cpu.hypervisor", "none"},
      {"cpu.count", "2"},
      {"cpu.isolated", "2-3"},
      {"cpu.nohz_full", "none"},
      {"cpu.governor", "performance"},
      {"cpu.turbo", "off (intel_pstate)"},
      {"cpu.idle_driver", "not readable"},
      {"tsc.invariant", "yes"},
      {"tsc.source", "CPUID 15h"},
      {"tsc.hz", "2500000000"},
      {"kernel.release", "6.1.0-test"},
      {"kernel.version", "#1 SMP PREEMPT_DYNAMIC"},
      {"kernel.debug", "none"},
      {"cmdline.mitigations", "auto"},
      {"cmdline.isolcpus", "3"},
      {"cmdline.rcu_nocbs", "not given"},
      {"clocksource", "tsc"},
      {"memory.thp", "madvise"},
      {"memory.ksm", "0"},
      {"vulnerability.l1tf", "Not affected"},
      {"vulnerability.spectre_v2", "Mitigation: Retpolines"},
      {"module.kvm.halt_poll_ns", "200000"},
      {"module.kvm_other.nested", "Y"},
      {"module.unrelated.kvm", ""},
      {"now.load", "0.10 0.20 0.30 1/200 4242"},
      {"now.kvm_events", "0"},
  };
  for (const auto& [name, value] : expected) {
    EXPECT_EQ(print.ValueOf(name), value) << name;
  }
  EXPECT_EQ(print.tsc_hz, 2.5e9);
  EXPECT_EQ(print.tsc_source, "CPUID 15h");
  ASSERT_EQ(print.cpus.size(), 2U);
  EXPECT_EQ(print.cpus[1].number, 3);
  EXPECT_THAT(print.cpus[1].thread_siblings, ElementsAre(3));
}

TEST(FingerprintTest, NoFactTwice) {
  const FakeHost host;
  host.WriteQuiet();
  std::vector<std::string> names;
  for (const Fact& fact : ReadFingerprint(host.root(), BareCpu()).facts) {
    names.push_back(fact.name);
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

TEST(FingerprintTest, EmptyRootIsNotReadableThroughout) {
  const FakeHost host;
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  EXPECT_THAT(print.cpus, IsEmpty());
  for (const char* name :
       {"cpu.vendor", "cpu.flags", "cpu.governor", "cpu.turbo",
        "kernel.release", "kernel.debug", "cmdline.mitigations", "clocksource",
        "memory.thp", "now.load", "now.kvm_events", "now.tracer"}) {
    EXPECT_EQ(print.ValueOf(name), kNotReadable) << name;
  }
  // What is not known is not held against the host.
  EXPECT_THAT(NamesOf(FindDistortions(print, -1)), ElementsAre("not pinned"));
}

TEST(FingerprintTest, ValuesArePrintable) {
  const FakeHost host;
  host.Write("proc/sys/kernel/version", "a\x01\xc3\xa4z\nsecond line\n");
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  EXPECT_EQ(print.ValueOf("kernel.version"), "a???z");
}

TEST(FingerprintHashTest, IsFnv1aOverSortedStableFacts) {
  const FakeHost host;
  host.WriteQuiet();
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  std::vector<std::string> lines;
  for (const Fact& fact : print.facts) {
    if (fact.name.rfind("now.", 0) == 0) continue;
    lines.push_back(fact.name + "=" + fact.value + "\n");
  }
  std::sort(lines.begin(), lines.end());
  std::uint64_t hash = 14695981039346656037U;
  for (const std::string& line : lines) {
    for (const unsigned char byte : line) {
      hash = (hash ^ byte) * 1099511628211U;
    }
  }
  EXPECT_THAT(print.hash, MatchesRegex("[0-9a-f]{16}"));
  EXPECT_EQ(std::stoull(print.hash, nullptr, 16), hash);
}

TEST(FingerprintHashTest, IgnoresTheMomentAndSeesTheRest) {
  const FakeHost host;
  host.WriteQuiet();
  const std::string hash = ReadFingerprint(host.root(), BareCpu()).hash;
  host.Write("proc/loadavg", "7.00 7.00 7.00 9/200 4243\n");
  host.Write("sys/kernel/tracing/events/kvm/enable", "1\n");
  EXPECT_EQ(ReadFingerprint(host.root(), BareCpu()).hash, hash);
  host.Write("sys/module/kvm/parameters/halt_poll_ns", "0\n");
  EXPECT_NE(ReadFingerprint(host.root(), BareCpu()).hash, hash);
}

TEST(FingerprintHashTest, MeasuredFrequencyDoesNotChangeIt) {
  const FakeHost host;
  host.WriteQuiet();
  EXPECT_EQ(ReadFingerprint(host.root(), FakeCpu({}, 2'596'144'000)).hash,
            ReadFingerprint(host.root(), FakeCpu({}, 2'596'144'777)).hash);
}

TEST(StableFactTest, EverythingButNow) {
  EXPECT_TRUE(IsStableFact("cpu.vendor"));
  EXPECT_TRUE(IsStableFact("nowhere"));
  EXPECT_FALSE(IsStableFact("now.load"));
}

TEST(TscFrequencyTest, Leaf16hWhereTheCrystalIsUnknown) {
  const FakeHost host;
  auto leaves = BareLeaves();
  leaves[0x15].ecx = 0;
  leaves[0x16].eax = 0xabcd0000 | 2600;
  const Fingerprint print =
      ReadFingerprint(host.root(), FakeCpu(leaves, 2'600'100'000));
  EXPECT_EQ(print.tsc_hz, 2.6e9);
  EXPECT_EQ(print.tsc_source, "CPUID 16h");
}

TEST(TscFrequencyTest, LeavesBeyondTheLastAreNotBelieved) {
  const FakeHost host;
  auto leaves = BareLeaves();
  leaves[0].eax = 0x14;  // leaf 15h then answers with another leaf's data
  const Fingerprint print =
      ReadFingerprint(host.root(), FakeCpu(leaves, 2'600'100'000));
  EXPECT_EQ(print.tsc_hz, 2'600'100'000);
  EXPECT_EQ(print.tsc_source, "measured");
  EXPECT_EQ(print.ValueOf("now.tsc_hz"), "2600100000");
  EXPECT_EQ(print.ValueOf("tsc.hz"), "");
}

TEST(TscFrequencyTest, HypervisorLeaf) {
  const FakeHost host;
  auto leaves = GuestLeaves();
  leaves[0x40000010].eax = 2'596'144;
  Fingerprint print =
      ReadFingerprint(host.root(), FakeCpu(leaves, 2'596'144'900));
  EXPECT_EQ(print.tsc_hz, 2'596'144'000);
  EXPECT_EQ(print.tsc_source, "CPUID 40000010h");
  leaves[0x40000000].eax = 0x40000001;  // the leaf is not there
  print = ReadFingerprint(host.root(), FakeCpu(leaves, 2'596'144'900));
  EXPECT_EQ(print.tsc_source, "measured");
}

TEST(TscFrequencyTest, MeasurementOverrulesCpuid) {
  const FakeHost host;
  const Fingerprint print =
      ReadFingerprint(host.root(), FakeCpu(BareLeaves(), 2'400'000'000));
  EXPECT_EQ(print.tsc_hz, 2.4e9);
  EXPECT_EQ(print.tsc_source, "measured; CPUID 15h says 2500000000 Hz");
}

TEST(TscFrequencyTest, NoSourceAtAll) {
  const FakeHost host;
  const Fingerprint print = ReadFingerprint(host.root(), FakeCpu({}, 0));
  EXPECT_EQ(print.tsc_hz, 0);
  EXPECT_EQ(print.tsc_source, "not known");
}

TEST(DistortionsTest, QuietHostHasNone) {
  const FakeHost host;
  host.WriteQuiet();
  const Fingerprint print = ReadFingerprint(host.root(), BareCpu());
  EXPECT_THAT(NamesOf(FindDistortions(print, 3)), IsEmpty());
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

TEST(ThisHostTest, CanBeRead) {
  const Fingerprint print = ReadFingerprint();
  EXPECT_NE(print.ValueOf("cpu.vendor"), "");
  EXPECT_THAT(print.hash, MatchesRegex("[0-9a-f]{16}"));
  EXPECT_GT(print.tsc_hz, 1e6);
  EXPECT_FALSE(print.tsc_source.empty());
}

}  // namespace
}  // namespace worldswitch
