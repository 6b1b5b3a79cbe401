#include "bench/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <utility>

namespace worldswitch {
namespace {

constexpr std::uint64_t kMillion = 1'000'000;
// Samples that must lie beyond a percentile before it is quoted.
constexpr std::uint64_t kBeyond = 10;
// Makes a MAD comparable to the sigma of a normal distribution.
constexpr double kMadToSigma = 1.4826;

// ceil(p * n) - 1, in integers: 0.999 * 10000 must be 9990 and not a hair more.
std::size_t NearestRankIndex(std::size_t count, std::uint64_t millionths) {
  const std::uint64_t rank = (count * millionths + kMillion - 1) / kMillion;
  return static_cast<std::size_t>(std::max<std::uint64_t>(rank, 1) - 1);
}

// a - b for a >= b; exact even where int64 would overflow.
std::uint64_t Distance(std::int64_t a, std::int64_t b) {
  return static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
}

// Median of the values by nearest rank; reorders them. Not empty.
template <typename T>
T MiddleOf(std::vector<T>& values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(
                           NearestRankIndex(values.size(), kMillion / 2));
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Mean of the one or two in the middle; reorders them. Not empty.
double MedianInPlace(std::vector<double>& values) {
  const auto middle =
      values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return std::midpoint(*std::max_element(values.begin(), middle), *middle);
}

}  // namespace

Distribution::Distribution(std::vector<std::int64_t> samples)
    : sorted_(std::move(samples)) {
  if (empty()) return;
  std::sort(sorted_.begin(), sorted_.end());

  long double sum = 0;
  for (const std::int64_t sample : sorted_) sum += sample;
  mean_ = static_cast<double>(sum / sorted_.size());

  const std::int64_t median = NearestRank(kMillion / 2);
  median_ = static_cast<double>(median);
  std::vector<std::uint64_t> deviations;
  deviations.reserve(sorted_.size());
  for (const std::int64_t sample : sorted_) {
    deviations.push_back(sample < median ? Distance(median, sample)
                                         : Distance(sample, median));
  }
  mad_ = static_cast<double>(MiddleOf(deviations));
}

std::int64_t Distribution::NearestRank(std::uint64_t millionths) const {
  return sorted_[NearestRankIndex(sorted_.size(), millionths)];
}

std::optional<double> Distribution::Percentile(double p) const {
  if (!(p > 0 && p < 1)) return std::nullopt;
  const auto millionths = static_cast<std::uint64_t>(
      std::llround(p * static_cast<double>(kMillion)));
  const std::uint64_t tail = std::min(millionths, kMillion - millionths);
  if (sorted_.size() * tail < kBeyond * kMillion) return std::nullopt;
  return static_cast<double>(NearestRank(millionths));
}

std::vector<HistogramEntry> Distribution::Histogram() const {
  std::vector<HistogramEntry> entries;
  for (const std::int64_t sample : sorted_) {
    if (entries.empty() || entries.back().value != sample) {
      entries.push_back({sample, 0});
    }
    ++entries.back().count;
  }
  return entries;
}

OutlierCounts Distribution::Classify(double low_severe, double low_mild,
                                     double high_mild,
                                     double high_severe) const {
  OutlierCounts counts;
  for (const std::int64_t sample : sorted_) {
    const auto value = static_cast<double>(sample);
    if (value < low_severe) {
      ++counts.low_severe;
    } else if (value < low_mild) {
      ++counts.low_mild;
    } else if (value > high_severe) {
      ++counts.high_severe;
    } else if (value > high_mild) {
      ++counts.high_mild;
    }
  }
  return counts;
}

OutlierCounts Distribution::TukeyOutliers() const {
  if (empty()) return {};
  const auto first = static_cast<double>(NearestRank(kMillion / 4));
  const auto third = static_cast<double>(NearestRank(kMillion / 4 * 3));
  const double range = third - first;
  return Classify(first - 3 * range, first - 1.5 * range, third + 1.5 * range,
                  third + 3 * range);
}

OutlierCounts Distribution::MadOutliers() const {
  const double sigma = kMadToSigma * mad_;
  return Classify(median_ - 10 * sigma, median_ - 3 * sigma,
                  median_ + 3 * sigma, median_ + 10 * sigma);
}

double Median(std::vector<double> values) {
  return values.empty() ? 0 : MedianInPlace(values);
}

std::vector<double> BlockMedians(std::span<const std::int64_t> samples,
                                 std::size_t block_size) {
  std::vector<double> medians;
  if (samples.empty() || block_size == 0) return medians;
  const std::size_t length = std::min(block_size, samples.size());
  std::vector<std::int64_t> block;
  for (std::size_t start = 0; start + length <= samples.size();
       start += length) {
    const auto part = samples.subspan(start, length);
    block.assign(part.begin(), part.end());
    medians.push_back(static_cast<double>(MiddleOf(block)));
  }
  return medians;
}

std::optional<double> RelativeDifference(double baseline, double other) {
  if (baseline == 0) return std::nullopt;
  return (other - baseline) / baseline;
}

std::optional<Interval> BootstrapMedianInterval(
    const std::vector<double>& repetition_medians, std::uint64_t seed) {
  const std::size_t count = repetition_medians.size();
  if (count < 6) return std::nullopt;
  // The engine's sequence is fixed by the standard; the distributions' are
  // not, hence the plain remainder. Its bias is count / 2^64.
  std::mt19937_64 random(seed);
  std::vector<double> resample(count);
  std::vector<double> medians(kBootstrapResamples);
  for (double& median : medians) {
    for (double& value : resample) {
      value = repetition_medians[random() % count];
    }
    median = MedianInPlace(resample);
  }
  std::sort(medians.begin(), medians.end());
  return Interval{medians[NearestRankIndex(medians.size(), 25'000)],
                  medians[NearestRankIndex(medians.size(), 975'000)]};
}

WarmUp::WarmUp(std::size_t windows, double tolerance)
    : last_(std::max<std::size_t>(windows, 2)), tolerance_(tolerance) {}

bool WarmUp::Add(double median) {
  last_[seen_ % last_.size()] = median;
  ++seen_;
  if (seen_ < last_.size()) return stable_;
  const auto [low, high] = std::minmax_element(last_.begin(), last_.end());
  stable_ = *high - *low <= tolerance_ * *low;
  return stable_;
}

}  // namespace worldswitch
