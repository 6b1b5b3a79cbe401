#include "bench/statistics.h"

#include <cstdint>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

// n, n-1, ..., 1: unsorted on purpose.
std::vector<std::int64_t> Descending(std::int64_t n) {
  std::vector<std::int64_t> values;
  for (std::int64_t value = n; value > 0; --value) values.push_back(value);
  return values;
}

TEST(DistributionTest, OfNothingIsZero) {
  const Distribution none;
  EXPECT_EQ(none.count(), 0U);
  EXPECT_EQ(none.min(), 0);
  EXPECT_EQ(none.max(), 0);
  EXPECT_EQ(none.mean(), 0);
  EXPECT_EQ(none.median(), 0);
  EXPECT_EQ(none.mad(), 0);
  EXPECT_EQ(none.Percentile(0.5), std::nullopt);
  EXPECT_THAT(none.Histogram(), IsEmpty());
  EXPECT_EQ(none.TukeyOutliers().high_severe, 0U);
  EXPECT_EQ(none.MadOutliers().high_severe, 0U);
}

TEST(DistributionTest, HandComputedFigures) {
  const Distribution five({9, 2, 4, 4, 31});
  EXPECT_EQ(five.count(), 5U);
  EXPECT_EQ(five.min(), 2);
  EXPECT_EQ(five.max(), 31);
  EXPECT_DOUBLE_EQ(five.mean(), 10);
  EXPECT_EQ(five.median(), 4);
  EXPECT_EQ(five.mad(), 2);  // of 0 0 2 5 27
  EXPECT_THAT(five.sorted(), ElementsAre(2, 4, 4, 9, 31));
}

TEST(DistributionTest, MedianOfAnEvenCountIsTheLowerMiddle) {
  EXPECT_EQ(Distribution({10, 20}).median(), 10);
  EXPECT_EQ(Distribution({10, 20, 30, 40}).median(), 20);
}

TEST(DistributionTest, PercentilesAreByNearestRank) {
  const Distribution thousand(Descending(1000));
  EXPECT_THAT(thousand.Percentile(0.5), Optional(500.0));
  EXPECT_THAT(thousand.Percentile(0.9), Optional(900.0));
  EXPECT_THAT(thousand.Percentile(0.99), Optional(990.0));
  EXPECT_THAT(thousand.Percentile(0.01), Optional(10.0));
  // ceil(0.5 * 1001) = 501, ceil(0.9 * 1001) = 901, ceil(0.99 * 1001) = 991.
  const Distribution more(Descending(1001));
  EXPECT_THAT(more.Percentile(0.5), Optional(501.0));
  EXPECT_THAT(more.Percentile(0.9), Optional(901.0));
  EXPECT_THAT(more.Percentile(0.99), Optional(991.0));
}

TEST(DistributionTest, RanksSufferNoRounding) {
  // 0.999 * 10000 is a hair off 9990 in binary.
  EXPECT_THAT(Distribution(Descending(10000)).Percentile(0.999),
              Optional(9990.0));
  EXPECT_THAT(Distribution(Descending(100000)).Percentile(0.9999),
              Optional(99990.0));
}

struct Threshold {
  double p;
  std::int64_t enough;
};
class PercentileThreshold : public testing::TestWithParam<Threshold> {};

TEST_P(PercentileThreshold, NeedsTenSamplesBeyond) {
  const auto [p, enough] = GetParam();
  EXPECT_EQ(Distribution(Descending(enough - 1)).Percentile(p), std::nullopt);
  EXPECT_NE(Distribution(Descending(enough)).Percentile(p), std::nullopt);
}

INSTANTIATE_TEST_SUITE_P(
    All, PercentileThreshold,
    testing::Values(Threshold{0.5, 20}, Threshold{0.9, 100},
                    Threshold{0.99, 1000}, Threshold{0.999, 10000},
                    Threshold{0.01, 1000}, Threshold{0.1, 100}));

TEST(DistributionTest, PercentileOutOfRangeIsEmpty) {
  const Distribution thousand(Descending(1000));
  for (const double p : {0.0, 1.0, -0.5, 2.0, 0.0000001,
                         std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_EQ(thousand.Percentile(p), std::nullopt) << p;
  }
}

TEST(DistributionTest, HistogramIsExact) {
  const std::vector<HistogramEntry> histogram =
      Distribution({7, -1, 7, 1'000'000'007, 7, -1}).Histogram();
  ASSERT_EQ(histogram.size(), 3U);
  EXPECT_EQ(histogram[0].value, -1);
  EXPECT_EQ(histogram[0].count, 2U);
  EXPECT_EQ(histogram[1].value, 7);
  EXPECT_EQ(histogram[1].count, 3U);
  EXPECT_EQ(histogram[2].value, 1'000'000'007);
  EXPECT_EQ(histogram[2].count, 1U);
}

TEST(DistributionTest, ExtremeSamplesDoNotOverflow) {
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  const Distribution extremes({kMax, kMin, 0});
  EXPECT_EQ(extremes.median(), 0);
  EXPECT_DOUBLE_EQ(extremes.mad(), 9223372036854775807.0);
  EXPECT_NEAR(extremes.mean(), 0, 1);
  EXPECT_DOUBLE_EQ(Distribution({kMin, kMax}).mad(), 0);  // of 0, 2^64 - 1
}

TEST(DistributionTest, TukeyCountsBothSidesAndBothGrades) {
  // Twenty samples; x[5] = 100, x[15] = 110: the range is 10, the fences are
  // 70, 85, 125 and 140.
  std::vector<std::int64_t> samples = {60,  75,  85,  100, 100, 100, 100,
                                       105, 105, 105, 105, 105, 105, 110,
                                       110, 110, 125, 126, 140, 141};
  const OutlierCounts counts = Distribution(samples).TukeyOutliers();
  EXPECT_EQ(counts.low_severe, 1U);   // 60
  EXPECT_EQ(counts.low_mild, 1U);     // 75; 85 is on the fence, inside
  EXPECT_EQ(counts.high_mild, 2U);    // 126, 140
  EXPECT_EQ(counts.high_severe, 1U);  // 141
}

TEST(DistributionTest, MadOutliersCountFromTheMedian) {
  // Median 100, deviations 0 0 0 5 5 10 10 10 35 45 140 150: mad is the 6th,
  // 10. Mild beyond 44.478, severe beyond 148.26.
  const Distribution samples(
      {100, 100, 100, 105, 95, 110, 90, 110, 65, 145, 240, -50});
  EXPECT_EQ(samples.median(), 100);
  EXPECT_EQ(samples.mad(), 10);
  const OutlierCounts counts = samples.MadOutliers();
  EXPECT_EQ(counts.low_severe, 1U);  // -50
  EXPECT_EQ(counts.low_mild, 0U);    // 65 is within
  EXPECT_EQ(counts.high_mild, 2U);   // 145, 240
  EXPECT_EQ(counts.high_severe, 0U);
}

TEST(DistributionTest, WithoutSpreadEveryOtherValueIsSevere) {
  const Distribution flat({5, 5, 5, 5, 5, 5, 5, 6});
  EXPECT_EQ(flat.mad(), 0);
  EXPECT_EQ(flat.TukeyOutliers().high_severe, 1U);
  EXPECT_EQ(flat.MadOutliers().high_severe, 1U);
  EXPECT_EQ(flat.count(), 8U);
}

TEST(MedianTest, OfFewFigures) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({3}), 3);
  EXPECT_EQ(Median({4, 1}), 2.5);
  EXPECT_EQ(Median({9, 1, 5}), 5);
  EXPECT_EQ(Median({9, 1, 5, 6}), 5.5);
}

TEST(BlockMediansTest, EachBlockOnItsOwn) {
  const std::vector<std::int64_t> samples = {1, 9, 2, 8, 3, 7, 50};
  EXPECT_THAT(BlockMedians(samples, 3), ElementsAre(2, 7));  // 50 left out
  EXPECT_THAT(BlockMedians(samples, 7), ElementsAre(7));
  EXPECT_THAT(BlockMedians(samples, 50), ElementsAre(7));  // the only one
  EXPECT_THAT(BlockMedians(samples, 1), ElementsAre(1, 9, 2, 8, 3, 7, 50));
  EXPECT_THAT(BlockMedians({}, 3), IsEmpty());
  EXPECT_THAT(BlockMedians(samples, 0), IsEmpty());
}

TEST(BlockMediansTest, MedianOfThemIgnoresABadStretch) {
  // Nine blocks, four of them in the slow regime.
  std::vector<std::int64_t> samples(450, 100);
  for (std::size_t i = 0; i < 200; ++i) samples[i] = 130;
  EXPECT_EQ(Median(BlockMedians(samples, 50)), 100);
}

TEST(RelativeDifferenceTest, IsRelativeToTheBaseline) {
  EXPECT_THAT(RelativeDifference(200, 203), Optional(0.015));
  EXPECT_THAT(RelativeDifference(200, 150), Optional(-0.25));
  EXPECT_THAT(RelativeDifference(200, 200), Optional(0.0));
  EXPECT_EQ(RelativeDifference(0, 1), std::nullopt);
}

TEST(BootstrapTest, NeedsSixRepetitions) {
  EXPECT_EQ(BootstrapMedianInterval({1, 2, 3, 4, 5}), std::nullopt);
  EXPECT_NE(BootstrapMedianInterval({1, 2, 3, 4, 5, 6}), std::nullopt);
}

TEST(BootstrapTest, WithoutSpreadTheIntervalIsAPoint) {
  const auto interval = BootstrapMedianInterval(std::vector<double>(10, 42));
  ASSERT_TRUE(interval);
  EXPECT_EQ(interval->low, 42);
  EXPECT_EQ(interval->high, 42);
}

TEST(BootstrapTest, MatchesTheExactBootstrapDistribution) {
  // Of 1..11, the resampled median is at most k with the probability that 6 or
  // more of 11 draws are: P(Bin(11, k / 11) >= 6). k = 2: 0.0072, k = 3:
  // 0.0512; k = 8: 0.9488, k = 9: 0.9928. So 2.5 % falls on 3, 97.5 % on 9.
  std::vector<double> medians(11);
  std::iota(medians.begin(), medians.end(), 1);
  for (const std::uint64_t seed : {kBootstrapSeed, std::uint64_t{1}}) {
    const auto interval = BootstrapMedianInterval(medians, seed);
    ASSERT_TRUE(interval);
    EXPECT_EQ(interval->low, 3);
    EXPECT_EQ(interval->high, 9);
  }
}

TEST(BootstrapTest, SameSeedSameInterval) {
  const std::vector<double> medians = {18.2, 18.9, 17.5, 24.1, 18.8,
                                       18.7, 18.3, 19.9, 18.5, 18.6};
  const auto one = BootstrapMedianInterval(medians, 7);
  const auto two = BootstrapMedianInterval(medians, 7);
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->low, two->low);
  EXPECT_EQ(one->high, two->high);
  EXPECT_LE(one->low, Median(medians));
  EXPECT_GE(one->high, Median(medians));
}

TEST(WarmUpTest, StableWhenTheLastWindowsAgree) {
  WarmUp warm_up(3, 0.02);
  EXPECT_FALSE(warm_up.Add(150));
  EXPECT_FALSE(warm_up.Add(101));
  EXPECT_FALSE(warm_up.Add(102));  // 150 is still among the last three
  EXPECT_TRUE(warm_up.Add(100));   // 100..102 is 2 %
  EXPECT_TRUE(warm_up.stable());
  EXPECT_FALSE(warm_up.Add(103));  // 100..103 is 3 %
  EXPECT_FALSE(warm_up.stable());
  EXPECT_EQ(warm_up.seen(), 5U);
}

TEST(WarmUpTest, OneWindowIsNeverEnough) {
  WarmUp warm_up(0, 0.5);
  EXPECT_FALSE(warm_up.Add(100));
  EXPECT_TRUE(warm_up.Add(100));
}

}  // namespace
}  // namespace worldswitch
