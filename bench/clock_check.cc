#include "bench/clock_check.h"

namespace worldswitch {
namespace {

// The guest wrote half of these figures, so they may be anything: wrap around
// rather than overflow.
std::int64_t Minus(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) -
                                   static_cast<std::uint64_t>(b));
}

}  // namespace

const char* ClockVerdictName(ClockVerdict verdict) {
  switch (verdict) {
    case ClockVerdict::kNoSamples:
      return "no samples";
    case ClockVerdict::kShared:
      return "shared";
    case ClockVerdict::kOffset:
      return "offset";
    case ClockVerdict::kInconsistent:
      return "inconsistent";
  }
  return "unknown";
}

void ClockCheck::Add(const ClockSample& sample) {
  const std::int64_t low = Minus(sample.g0, sample.h1);
  const std::int64_t high = Minus(sample.g3, sample.h2);
  if (samples_ == 0 || low > low_) low_ = low;
  if (samples_ == 0 || high < high_) high_ = high;
  ++samples_;
  if (sample.g3 < sample.g0 || sample.h2 < sample.h1) ++backwards_;
}

ClockReport ClockCheck::Report() const {
  ClockReport report;
  report.samples = samples_;
  report.backwards = backwards_;
  if (samples_ == 0) return report;
  report.low = low_;
  report.high = high_;
  if (low_ > high_ || backwards_ != 0) {
    report.verdict = ClockVerdict::kInconsistent;
    return report;
  }
  // Unsigned, because a width may need all 64 bits.
  const std::uint64_t width =
      static_cast<std::uint64_t>(high_) - static_cast<std::uint64_t>(low_);
  report.offset =
      static_cast<std::int64_t>(static_cast<std::uint64_t>(low_) + width / 2);
  // Rounded up, but for the one width whose half does not fit.
  const std::uint64_t half = width / 2 + width % 2;
  report.half_width =
      half > INT64_MAX ? INT64_MAX : static_cast<std::int64_t>(half);
  report.verdict =
      low_ <= 0 && high_ >= 0 ? ClockVerdict::kShared : ClockVerdict::kOffset;
  return report;
}

bool ComputeLegs(const ClockSample& sample, ClockVerdict verdict, Legs* legs) {
  if (verdict != ClockVerdict::kShared) return false;
  legs->exit = Minus(sample.h1, sample.g0);
  legs->handler = Minus(sample.h2, sample.h1);
  legs->entry = Minus(sample.g3, sample.h2);
  legs->round_trip = Minus(sample.g3, sample.g0);
  return true;
}

}  // namespace worldswitch
