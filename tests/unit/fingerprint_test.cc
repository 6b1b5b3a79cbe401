#include "core/host/fingerprint.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/fake_host.h"

namespace worldswitch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::MatchesRegex;

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

TEST(ThisHostTest, CanBeRead) {
  const Fingerprint print = ReadFingerprint();
  EXPECT_NE(print.ValueOf("cpu.vendor"), "");
  EXPECT_THAT(print.hash, MatchesRegex("[0-9a-f]{16}"));
  EXPECT_GT(print.tsc_hz, 1e6);
  EXPECT_FALSE(print.tsc_source.empty());
}

}  // namespace
}  // namespace worldswitch
