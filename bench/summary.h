// What a row's samples come to: the figures that the table and the result file
// show. Everything is in the backend's unit (TSC ticks on a real host).

#ifndef WORLDSWITCH_BENCH_SUMMARY_H_
#define WORLDSWITCH_BENCH_SUMMARY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "bench/clock_check.h"
#include "bench/row.h"
#include "bench/statistics.h"

namespace worldswitch {

struct Contamination {
  std::uint64_t samples = 0;  // with at least one flag
  std::array<std::uint64_t, kSampleFlagCount> by_flag = {};
  // Severe outliers (see Distribution::MadOutliers, high side), and how many
  // of them carry a flag that may explain them.
  std::uint64_t outliers = 0;
  std::uint64_t outliers_flagged = 0;
};

struct Summary {
  Distribution raw;      // round trips, all repetitions
  Distribution control;  // the same loop without the instruction
  // Median raw minus median control; empty where that is below what the
  // control itself varies by (its p99 minus its median): below resolution.
  std::optional<double> net;
  double resolution = 0;
  // Medians; only with one clock and an exit to the caller in each sample.
  std::optional<Legs> legs;
  std::uint64_t negative_legs = 0;
  ClockReport clock;
  std::optional<double> batch;  // net, an iteration: median over repetitions
  std::vector<double> repetition_medians;
  std::optional<Interval> median_interval;  // 95 %
  std::uint64_t exits = 0;                  // measured ones, in `raw`
  Contamination contamination;
  std::uint64_t unstable_warm_ups = 0;
};

// The row must have figures.
Summary Summarize(const Row& row);
// One repetition of it by itself: no interval over repetitions.
Summary SummarizeRepetition(const Row& row, std::size_t index);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_SUMMARY_H_
