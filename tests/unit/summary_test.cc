// What samples come to: net, legs, the clock, contamination.

#include "bench/summary.h"

#include <cstdint>

#include "bench/scenario.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

constexpr std::int64_t kExitLeg = 400;
constexpr std::int64_t kHandler = 30;
constexpr std::int64_t kEntryLeg = 600;
constexpr std::int64_t kRoundTrip = kExitLeg + kHandler + kEntryLeg;
constexpr std::int64_t kControl = 50;
constexpr int kSamples = 2000;

// A repetition whose figures are known; guest clock = host clock + offset.
Repetition MakeRepetition(std::int64_t guest_offset, std::int64_t jitter = 0) {
  Repetition repetition;
  repetition.has_legs = true;
  repetition.warm_up_blocks = 4;
  repetition.warm_up_stable = true;
  repetition.batch = 900;
  std::int64_t now = 1'000'000;
  for (int i = 0; i < kSamples; ++i) {
    const std::int64_t extra = i % 2 == 0 ? 0 : jitter;
    Sample sample = {};
    sample.g0 = now + guest_offset;
    sample.h1 = now + kExitLeg;
    sample.h2 = sample.h1 + kHandler;
    sample.g3 = sample.h2 + kEntryLeg + extra + guest_offset;
    sample.exits = 1;
    repetition.samples.push_back(sample);
    repetition.flags.push_back(0);
    repetition.control.push_back(kControl + i % 3);
    now += 5000;
  }
  return repetition;
}

Row MakeRow(std::int64_t guest_offset) {
  Row row;
  row.scenario = &*AllScenarios().begin();
  row.mode = GuestMode::kReal;
  row.repetitions.push_back(MakeRepetition(guest_offset));
  return row;
}

TEST(SummaryTest, NetIsTheMedianLessTheControlsMedian) {
  const Summary summary = Summarize(MakeRow(0));
  EXPECT_EQ(summary.raw.count(), static_cast<std::size_t>(kSamples));
  EXPECT_EQ(summary.raw.median(), kRoundTrip);
  ASSERT_TRUE(summary.net.has_value());
  EXPECT_EQ(*summary.net, kRoundTrip - (kControl + 1));
  EXPECT_EQ(summary.batch, 900);
  EXPECT_EQ(summary.exits, static_cast<std::uint64_t>(kSamples));
}

TEST(SummaryTest, NetBelowWhatTheControlVariesByIsNotGiven) {
  Row row = MakeRow(0);
  for (std::size_t i = 0; i < row.repetitions[0].control.size(); ++i) {
    row.repetitions[0].control[i] = i % 10 == 0 ? 5000 : 1000;
  }
  const Summary summary = Summarize(row);
  EXPECT_FALSE(summary.net.has_value());
  EXPECT_EQ(summary.resolution, 4000);
}

TEST(SummaryTest, LegsAddUpAndNoneIsNegative) {
  const Summary summary = Summarize(MakeRow(0));
  EXPECT_EQ(summary.clock.verdict, ClockVerdict::kShared);
  ASSERT_TRUE(summary.legs.has_value());
  EXPECT_EQ(summary.legs->exit, kExitLeg);
  EXPECT_EQ(summary.legs->handler, kHandler);
  EXPECT_EQ(summary.legs->entry, kEntryLeg);
  EXPECT_EQ(Residual(*summary.legs), 0);
  EXPECT_EQ(summary.negative_legs, 0u);
  // g0 - h1 <= d <= g3 - h2.
  EXPECT_EQ(summary.clock.low, -kExitLeg);
  EXPECT_EQ(summary.clock.high, kEntryLeg);
  EXPECT_EQ(summary.clock.half_width, (kExitLeg + kEntryLeg) / 2);
}

class PlantedOffsetTest : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(PlantedOffsetTest, IsDetectedAndTakesTheLegsAway) {
  const std::int64_t offset = GetParam();
  const Summary summary = Summarize(MakeRow(offset));
  EXPECT_EQ(summary.clock.verdict, ClockVerdict::kOffset);
  EXPECT_FALSE(summary.legs.has_value());
  EXPECT_LE(summary.clock.low, offset);
  EXPECT_GE(summary.clock.high, offset);
  // The round trip needs one clock only, and is not touched.
  EXPECT_EQ(summary.raw.median(), kRoundTrip);
}

INSTANTIATE_TEST_SUITE_P(Offsets, PlantedOffsetTest,
                         ::testing::Values(-1'000'000, -kEntryLeg - 1,
                                           kExitLeg + 1, 5000,
                                           std::int64_t{1} << 40));

TEST(SummaryTest, ContaminatedSamplesAreCountedAndKept) {
  Row row = MakeRow(0);
  Repetition& repetition = row.repetitions[0];
  repetition = MakeRepetition(0, 10);
  repetition.samples[7].g3 += 1'000'000;
  repetition.flags[7] = kMigrated | kTimerInBlock;
  repetition.samples[8].g3 += 1'000'000;
  repetition.flags[9] = kTimerInBlock;
  const Summary summary = Summarize(row);
  EXPECT_EQ(summary.raw.count(), static_cast<std::size_t>(kSamples));
  EXPECT_EQ(summary.contamination.samples, 2u);
  EXPECT_EQ(summary.contamination.by_flag[0], 1u);
  EXPECT_EQ(summary.contamination.by_flag[4], 2u);
  EXPECT_EQ(summary.contamination.outliers, 2u);
  EXPECT_EQ(summary.contamination.outliers_flagged, 1u);
}

TEST(SummaryTest, ARowWithoutExitsToTheCallerHasNoLegs) {
  Row row = MakeRow(0);
  row.repetitions[0].has_legs = false;
  const Summary summary = Summarize(row);
  EXPECT_FALSE(summary.legs.has_value());
  EXPECT_EQ(summary.clock.verdict, ClockVerdict::kNoSamples);
}

}  // namespace
}  // namespace worldswitch
