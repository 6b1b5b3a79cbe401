#include "bench/clock_check.h"

#include <sched.h>

#include <cstdint>
#include <limits>

#include "bench/tsc.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

// One exit of a true history in host ticks, seen by a guest whose clock is
// `offset` ahead: exit leg 700, handler 300, entry leg 500.
ClockSample SampleAt(std::int64_t start, std::int64_t offset) {
  return {.g0 = start + offset,
          .h1 = start + 700,
          .h2 = start + 1000,
          .g3 = start + 1500 + offset};
}

TEST(ClockCheckTest, NoSamplesNoVerdict) {
  const ClockReport report = ClockCheck().Report();
  EXPECT_EQ(report.verdict, ClockVerdict::kNoSamples);
  EXPECT_EQ(report.samples, 0U);
}

TEST(ClockCheckTest, OneClockIsShared) {
  ClockCheck check;
  check.Add({.g0 = 1000, .h1 = 1700, .h2 = 2000, .g3 = 2500});
  const ClockReport report = check.Report();
  EXPECT_EQ(report.verdict, ClockVerdict::kShared);
  EXPECT_EQ(report.low, -700);
  EXPECT_EQ(report.high, 500);
  EXPECT_EQ(report.offset, -100);
  EXPECT_EQ(report.half_width, 600);
  EXPECT_EQ(report.samples, 1U);
}

TEST(ClockCheckTest, TightestBoundsOfAllSamplesCount) {
  ClockCheck check;
  check.Add({.g0 = 0, .h1 = 700, .h2 = 1000, .g3 = 1500});      // -700..500
  check.Add({.g0 = 5000, .h1 = 5400, .h2 = 6000, .g3 = 9000});  // -400..3000
  check.Add({.g0 = 10000, .h1 = 19000, .h2 = 19100, .g3 = 19401});  // ..301
  const ClockReport report = check.Report();
  EXPECT_EQ(report.low, -400);
  EXPECT_EQ(report.high, 301);
  EXPECT_EQ(report.half_width, 351);  // 350.5, rounded up
  EXPECT_EQ(report.samples, 3U);
}

class PlantedOffset : public testing::TestWithParam<std::int64_t> {};

TEST_P(PlantedOffset, IsFoundWithinHalfWidth) {
  const std::int64_t planted = GetParam();
  ClockCheck check;
  for (std::int64_t i = 0; i < 10; ++i) {
    check.Add(SampleAt(1'000'000 + 5000 * i, planted));
  }
  const ClockReport report = check.Report();
  // The interval is [planted - 700, planted + 500].
  EXPECT_EQ(report.low, planted - 700);
  EXPECT_EQ(report.high, planted + 500);
  EXPECT_EQ(report.offset, planted - 100);
  EXPECT_EQ(report.half_width, 600);
  const bool hidden = planted <= 700 && planted >= -500;
  EXPECT_EQ(report.verdict,
            hidden ? ClockVerdict::kShared : ClockVerdict::kOffset);
}

INSTANTIATE_TEST_SUITE_P(Sizes, PlantedOffset,
                         testing::Values(0, 1, -1, 700, 701, -500, -501, 5000,
                                         -5000, 1'000'000'000'000,
                                         -1'000'000'000'000));

TEST(ClockCheckTest, DriftIsInconsistent) {
  ClockCheck check;
  // The guest gains 100 ticks an exit; after 13 the bounds have crossed.
  for (std::int64_t i = 0; i < 12; ++i) check.Add(SampleAt(5000 * i, 100 * i));
  EXPECT_NE(check.Report().verdict, ClockVerdict::kInconsistent);
  check.Add(SampleAt(60000, 1200));
  EXPECT_EQ(check.Report().low, 500);  // low == high: one offset is left
  EXPECT_EQ(check.Report().high, 500);
  EXPECT_EQ(check.Report().verdict, ClockVerdict::kOffset);
  check.Add(SampleAt(65000, 1300));
  const ClockReport report = check.Report();
  EXPECT_EQ(report.verdict, ClockVerdict::kInconsistent);
  EXPECT_EQ(report.low, 600);
  EXPECT_EQ(report.high, 500);
}

TEST(ClockCheckTest, JumpIsInconsistent) {
  ClockCheck check;
  check.Add(SampleAt(0, 0));
  check.Add(SampleAt(5000, 1201));
  EXPECT_EQ(check.Report().verdict, ClockVerdict::kInconsistent);
}

TEST(ClockCheckTest, ClockRunningBackwardsIsInconsistent) {
  ClockCheck guest;
  guest.Add({.g0 = 1000, .h1 = 1100, .h2 = 900, .g3 = 999});
  EXPECT_EQ(guest.Report().backwards, 1U);
  EXPECT_EQ(guest.Report().verdict, ClockVerdict::kInconsistent);
  ClockCheck host;
  host.Add({.g0 = 1000, .h1 = 1500, .h2 = 1400, .g3 = 2000});
  EXPECT_EQ(host.Report().backwards, 1U);
  EXPECT_EQ(host.Report().verdict, ClockVerdict::kInconsistent);
}

TEST(ClockCheckTest, GarbageFromTheGuestDoesNotOverflow) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  ClockCheck check;
  check.Add({.g0 = kMin, .h1 = 1, .h2 = 2, .g3 = kMax});
  check.Add({.g0 = kMax, .h1 = -1, .h2 = 0, .g3 = kMin});
  EXPECT_EQ(check.Report().verdict, ClockVerdict::kInconsistent);
  ClockCheck widest;
  widest.Add({.g0 = kMin, .h1 = 0, .h2 = 0, .g3 = kMax});
  EXPECT_EQ(widest.Report().verdict, ClockVerdict::kShared);
  EXPECT_EQ(widest.Report().low, kMin);
  EXPECT_EQ(widest.Report().high, kMax);
  EXPECT_EQ(widest.Report().offset, -1);
  EXPECT_EQ(widest.Report().half_width, kMax);
}

TEST(LegsTest, AddUpToTheRoundTrip) {
  Legs legs;
  ASSERT_TRUE(ComputeLegs(SampleAt(1000, 0), ClockVerdict::kShared, &legs));
  EXPECT_EQ(legs.exit, 700);
  EXPECT_EQ(legs.handler, 300);
  EXPECT_EQ(legs.entry, 500);
  EXPECT_EQ(legs.round_trip, 1500);
  EXPECT_EQ(Residual(legs), 0);
}

TEST(LegsTest, RefusedUnlessTheClockIsShared) {
  Legs legs{.exit = 7, .handler = 7, .entry = 7, .round_trip = 7};
  for (const ClockVerdict verdict :
       {ClockVerdict::kNoSamples, ClockVerdict::kOffset,
        ClockVerdict::kInconsistent}) {
    EXPECT_FALSE(ComputeLegs(SampleAt(1000, 0), verdict, &legs));
    EXPECT_EQ(legs.round_trip, 7);
  }
}

TEST(LegsTest, ResidualIsWhatMediansDoNotAddUpTo) {
  EXPECT_EQ(
      Residual({.exit = 700, .handler = 300, .entry = 500, .round_trip = 1540}),
      40);
  EXPECT_EQ(
      Residual({.exit = 700, .handler = 300, .entry = 500, .round_trip = 1490}),
      -10);
}

TEST(TscTest, RunsForwardsAndNamesTheCpu) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  const int here = sched_getcpu();
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(here, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  std::uint32_t cpu = ~0U;
  const std::uint64_t start = ReadTsc();
  const std::uint64_t end = ReadTscEnd(&cpu);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_GE(end, start);
  EXPECT_EQ(cpu, static_cast<std::uint32_t>(here));
}

TEST(ClockVerdictTest, EachHasAName) {
  EXPECT_STREQ(ClockVerdictName(ClockVerdict::kShared), "shared");
  EXPECT_STREQ(ClockVerdictName(ClockVerdict::kOffset), "offset");
  EXPECT_STREQ(ClockVerdictName(ClockVerdict::kInconsistent), "inconsistent");
  EXPECT_STREQ(ClockVerdictName(ClockVerdict::kNoSamples), "no samples");
}

}  // namespace
}  // namespace worldswitch
