// What is said about many timings: order statistics of samples, and how sure
// one can be of a median over repetitions. Hosted C++, no clock, no I/O, and
// deterministic: the same input gives the same figures everywhere.
//
// Samples of one repetition depend on each other, so doubt is computed over
// the medians of repetitions, never over a million raw samples. Nothing is
// ever left out: outliers are counted, not deleted.

#ifndef WORLDSWITCH_BENCH_STATISTICS_H_
#define WORLDSWITCH_BENCH_STATISTICS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace worldswitch {

// One value and how often it was seen.
struct HistogramEntry {
  std::int64_t value = 0;
  std::uint64_t count = 0;
};

// Samples beyond the fences, on each side. A severe one is not also mild.
struct OutlierCounts {
  std::uint64_t low_severe = 0;
  std::uint64_t low_mild = 0;
  std::uint64_t high_mild = 0;
  std::uint64_t high_severe = 0;
};

// Samples of one kind, sorted. Immutable, so safe to read from any thread.
// Figures have the unit of the samples. Of no samples, every figure is 0.
//
// Every order statistic here is by nearest rank: the p-quantile of n sorted
// samples x[1..n] is x[ceil(p * n)], the smallest sample that at least p * n
// of the samples do not exceed. It is always a value that was measured, never
// one between two. p counts in steps of one millionth.
class Distribution {
 public:
  Distribution() = default;
  explicit Distribution(std::vector<std::int64_t> samples);

  std::size_t count() const { return sorted_.size(); }
  std::int64_t min() const { return empty() ? 0 : sorted_.front(); }
  std::int64_t max() const { return empty() ? 0 : sorted_.back(); }
  double mean() const { return mean_; }
  // x[ceil(n / 2)], given for any n > 0; Percentile(0.5) also asks whether
  // there are enough samples to quote it.
  double median() const { return median_; }
  // Median of |x - median|, by nearest rank, as it is: not scaled to resemble
  // a standard deviation.
  double mad() const { return mad_; }

  // The p-quantile, 0 < p < 1: Percentile(0.999) is p99.9. Empty when fewer
  // than 10 samples lie beyond it, that is n * (1 - p) < 10 (below the median
  // n * p < 10), because then single events decide it: the median wants 20
  // samples, p90 100, p99 1000, p99.9 10000. Empty too for a p out of range.
  std::optional<double> Percentile(double p) const;

  // Every value that occurred, ascending. Exact: no bins.
  std::vector<HistogramEntry> Histogram() const;

  // Tukey's fences: mild beyond 1.5, severe beyond 3 interquartile ranges
  // outside the quartiles. Where the range is 0, any other value is severe.
  OutlierCounts TukeyOutliers() const;
  // By distance from the median: mild beyond 3, severe beyond 10 times
  // 1.4826 * mad, which is 3 and 10 sigma of a normal distribution. Where mad
  // is 0, any other value is severe.
  OutlierCounts MadOutliers() const;

  // Ascending.
  const std::vector<std::int64_t>& sorted() const { return sorted_; }

 private:
  bool empty() const { return sorted_.empty(); }
  // x[ceil(p * n)] for p in millionths, 0 < p < 1000000; not empty.
  std::int64_t NearestRank(std::uint64_t millionths) const;
  OutlierCounts Classify(double low_severe, double low_mild, double high_mild,
                         double high_severe) const;

  std::vector<std::int64_t> sorted_;
  double mean_ = 0;
  double median_ = 0;
  double mad_ = 0;
};

// The median of a few figures (repetitions, blocks): the middle one, or the
// mean of the two in the middle. 0 of none. No NaN among them.
double Median(std::vector<double> values);

// Samples in the order they were taken, cut into blocks of `block_size` (> 0);
// the nearest-rank median of each. A shorter block at the end is left out,
// unless it is the only one. In an A/B comparison, blocks of about 50 taken in
// turns see the same host; Median() of them is the figure to compare.
std::vector<double> BlockMedians(std::span<const std::int64_t> samples,
                                 std::size_t block_size);

// (other - baseline) / baseline, so 0.01 is one per cent slower. Empty where
// the baseline is 0. Between two sides that are the same thing its magnitude
// is the A/A floor: a smaller difference between A and B says nothing.
std::optional<double> RelativeDifference(double baseline, double other);

struct Interval {
  double low = 0;
  double high = 0;
};

inline constexpr std::uint64_t kBootstrapSeed = 0x776f726c64;
inline constexpr int kBootstrapResamples = 9999;

// 95 % confidence interval of the median over repetitions, by percentile
// bootstrap: resamples with replacement, medians of each, the 2.5 % and the
// 97.5 % quantile of those by nearest rank. Empty below 6 repetitions: with 5
// even [min, max] covers the true median only 1 - 2 / 2^5 = 93.75 % of the
// time. Deterministic for a seed.
std::optional<Interval> BootstrapMedianInterval(
    const std::vector<double>& repetition_medians,
    std::uint64_t seed = kBootstrapSeed);

// Says when a warm-up may end: feed the median of each window. Stable is when
// the last `windows` medians all lie within `tolerance` of the smallest of
// them. The caller bounds the number of windows, and says so when it gave up.
// Add() allocates nothing. Not thread-safe.
class WarmUp {
 public:
  // windows: 2 or more (less counts as 2). tolerance: a fraction, 0.02 for
  // 2 %, not negative.
  WarmUp(std::size_t windows, double tolerance);

  // median: greater than 0. Returns stable().
  bool Add(double median);
  // As of the last Add(): a later jump makes it unstable again.
  bool stable() const { return stable_; }
  // How many windows were fed so far.
  std::uint64_t seen() const { return seen_; }

 private:
  std::vector<double> last_;  // a ring
  double tolerance_;
  std::uint64_t seen_ = 0;
  bool stable_ = false;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_STATISTICS_H_
