// Proves that guest and host read one clock, by bracketing: each exit taken
// bounds guest minus host from both sides. Feed samples, ask for the report.
// Freestanding, integers only, no allocation: ring 0 uses the same file.
//
// One sample has four readings, taken in this order of real time:
//   g0 guest, before the exit    h1 host, first after the exit
//   h2 host, last before entry   g3 guest, first after entry
// Let guest = host + d. Then g0 - d <= h1 and h2 <= g3 - d, therefore
//   g0 - h1 <= d <= g3 - h2
// and d lies in the intersection over all samples, as long as it is constant.

#ifndef WORLDSWITCH_BENCH_CLOCK_CHECK_H_
#define WORLDSWITCH_BENCH_CLOCK_CHECK_H_

#include <cstdint>

namespace worldswitch {

// TSC ticks. The differences within a sample must fit in 63 bits.
struct ClockSample {
  std::int64_t g0 = 0;
  std::int64_t h1 = 0;
  std::int64_t h2 = 0;
  std::int64_t g3 = 0;
};

enum class ClockVerdict : std::uint8_t {
  kNoSamples,
  // 0 is a possible offset: the samples fit one clock. Offsets smaller than
  // the bounds cannot be told apart from none.
  kShared,
  // 0 is not possible: the clocks differ by offset +- half_width.
  kOffset,
  // No constant offset fits (drift, scaling, a jump, a move to a CPU with
  // another TSC), or one of the clocks ran backwards within a sample.
  kInconsistent,
};

// "shared", "offset", "inconsistent", "no samples".
const char* ClockVerdictName(ClockVerdict verdict);

// TSC ticks, guest minus host. low > high where the verdict is kInconsistent
// for want of a common offset. With no samples all are 0.
struct ClockReport {
  ClockVerdict verdict = ClockVerdict::kNoSamples;
  std::int64_t low = 0;
  std::int64_t high = 0;
  // The middle of [low, high], and how far it can be off (rounded up). Only
  // for kShared and kOffset. With kShared a leg is wrong by at most the
  // greater of -low and high, and the two legs by the same amount, with
  // opposite signs.
  std::int64_t offset = 0;
  std::int64_t half_width = 0;
  std::uint64_t samples = 0;
  // Samples with g3 < g0 or h2 < h1.
  std::uint64_t backwards = 0;
};

// Not thread-safe; copyable.
class ClockCheck {
 public:
  void Add(const ClockSample& sample);
  ClockReport Report() const;

 private:
  std::int64_t low_ = 0;
  std::int64_t high_ = 0;
  std::uint64_t samples_ = 0;
  std::uint64_t backwards_ = 0;
};

// The parts of one round trip, or the medians of the parts of many. TSC ticks.
struct Legs {
  std::int64_t exit = 0;        // h1 - g0
  std::int64_t handler = 0;     // h2 - h1
  std::int64_t entry = 0;       // g3 - h2
  std::int64_t round_trip = 0;  // g3 - g0
};

// The legs of one sample. False, and *legs untouched, unless the verdict is
// kShared: with two clocks exit and entry legs mean nothing.
bool ComputeLegs(const ClockSample& sample, ClockVerdict verdict, Legs* legs);

// Round trip minus the sum of the parts: 0 for one sample. For medians it is
// what they fail to add up to, and belongs beside them in every table.
constexpr std::int64_t Residual(const Legs& legs) {
  return legs.round_trip - (legs.exit + legs.handler + legs.entry);
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_CLOCK_CHECK_H_
