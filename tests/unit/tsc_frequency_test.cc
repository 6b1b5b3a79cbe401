#include "core/host/tsc_frequency.h"

#include "core/host/fingerprint.h"
#include "gtest/gtest.h"
#include "tests/unit/fake_host.h"

namespace worldswitch {
namespace {

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

}  // namespace
}  // namespace worldswitch
