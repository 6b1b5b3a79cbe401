#include "bench/summary.h"

#include <cmath>
#include <cstddef>
#include <utility>

namespace worldswitch {
namespace {

// 10 scaled MADs from the median, as Distribution::MadOutliers has it.
constexpr double kSevere = 10 * 1.4826;

std::vector<std::int64_t> RoundTripsOf(const Repetition& repetition) {
  std::vector<std::int64_t> ticks;
  ticks.reserve(repetition.samples.size());
  for (const Sample& sample : repetition.samples) {
    ticks.push_back(RoundTrip(sample));
  }
  return ticks;
}

ClockSample ToClockSample(const Sample& sample) {
  return {.g0 = sample.g0, .h1 = sample.h1, .h2 = sample.h2, .g3 = sample.g3};
}

class Summarizer {
 public:
  void Add(const Repetition& repetition) {
    std::vector<std::int64_t> ticks = RoundTripsOf(repetition);
    raw_.insert(raw_.end(), ticks.begin(), ticks.end());
    medians_.push_back(Distribution(std::move(ticks)).median());
    control_.insert(control_.end(), repetition.control.begin(),
                    repetition.control.end());
    flags_.insert(flags_.end(), repetition.flags.begin(),
                  repetition.flags.end());
    for (const Sample& sample : repetition.samples) {
      summary_.exits += sample.exits;
      if (repetition.has_legs) clock_.Add(ToClockSample(sample));
    }
    if (repetition.batch.has_value()) batches_.push_back(*repetition.batch);
    if (!repetition.warm_up_stable && repetition.warm_up_blocks > 0) {
      ++summary_.unstable_warm_ups;
    }
    has_legs_ = has_legs_ && repetition.has_legs;
  }

  Summary Finish(const std::vector<const Repetition*>& repetitions) {
    summary_.clock = clock_.Report();
    if (has_legs_) AddLegs(repetitions);
    summary_.raw = Distribution(std::move(raw_));
    summary_.control = Distribution(std::move(control_));
    AddNet();
    AddContamination(repetitions);
    if (!batches_.empty()) summary_.batch = Median(batches_);
    summary_.median_interval = BootstrapMedianInterval(medians_);
    summary_.repetition_medians = std::move(medians_);
    return std::move(summary_);
  }

 private:
  void AddLegs(const std::vector<const Repetition*>& repetitions) {
    std::vector<std::int64_t> exit;
    std::vector<std::int64_t> handler;
    std::vector<std::int64_t> entry;
    std::vector<std::int64_t> round_trip;
    for (const Repetition* repetition : repetitions) {
      for (const Sample& sample : repetition->samples) {
        Legs legs;
        if (!ComputeLegs(ToClockSample(sample), summary_.clock.verdict,
                         &legs)) {
          return;
        }
        if (legs.exit < 0 || legs.handler < 0 || legs.entry < 0) {
          ++summary_.negative_legs;
        }
        exit.push_back(legs.exit);
        handler.push_back(legs.handler);
        entry.push_back(legs.entry);
        round_trip.push_back(legs.round_trip);
      }
    }
    const auto median = [](std::vector<std::int64_t>& ticks) {
      return static_cast<std::int64_t>(Distribution(std::move(ticks)).median());
    };
    summary_.legs = Legs{.exit = median(exit),
                         .handler = median(handler),
                         .entry = median(entry),
                         .round_trip = median(round_trip)};
  }

  void AddNet() {
    const Distribution& control = summary_.control;
    // With too few for a p99, the p90 has to do.
    const double high = control.Percentile(0.99).value_or(
        control.Percentile(0.9).value_or(static_cast<double>(control.max())));
    const double spread = high - control.median();
    summary_.resolution = spread;
    const double net = summary_.raw.median() - control.median();
    if (control.count() > 0 && net > spread) summary_.net = net;
  }

  void AddContamination(const std::vector<const Repetition*>& repetitions) {
    Contamination& found = summary_.contamination;
    const double fence = summary_.raw.median() + kSevere * summary_.raw.mad();
    std::size_t i = 0;
    for (const Repetition* repetition : repetitions) {
      for (const Sample& sample : repetition->samples) {
        const std::uint8_t flags = flags_[i++];
        if (flags != 0) ++found.samples;
        for (int bit = 0; bit < kSampleFlagCount; ++bit) {
          if ((flags >> bit & 1) != 0) {
            ++found.by_flag[static_cast<std::size_t>(bit)];
          }
        }
        if (static_cast<double>(RoundTrip(sample)) > fence) {
          ++found.outliers;
          if (flags != 0) ++found.outliers_flagged;
        }
      }
    }
  }

  Summary summary_;
  ClockCheck clock_;
  bool has_legs_ = true;
  std::vector<std::int64_t> raw_;
  std::vector<std::int64_t> control_;
  std::vector<std::uint8_t> flags_;
  std::vector<double> medians_;
  std::vector<double> batches_;
};

Summary SummarizeAll(const std::vector<const Repetition*>& repetitions) {
  Summarizer summarizer;
  for (const Repetition* repetition : repetitions) summarizer.Add(*repetition);
  return summarizer.Finish(repetitions);
}

}  // namespace

Summary Summarize(const Row& row) {
  std::vector<const Repetition*> repetitions;
  for (const Repetition& repetition : row.repetitions) {
    repetitions.push_back(&repetition);
  }
  return SummarizeAll(repetitions);
}

Summary SummarizeRepetition(const Row& row, std::size_t index) {
  return SummarizeAll({&row.repetitions[index]});
}

}  // namespace worldswitch
