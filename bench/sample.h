// One measured iteration, as four readings of one clock. Freestanding.

#ifndef WORLDSWITCH_BENCH_SAMPLE_H_
#define WORLDSWITCH_BENCH_SAMPLE_H_

#include <cstdint>

namespace worldswitch {

// One iteration, all in TSC ticks: guest before, host after the exit, host
// before the last entry, guest after. h1 and h2 are 0 where no exit reached
// the host's user space.
struct Sample {
  std::int64_t g0;
  std::int64_t h1;
  std::int64_t h2;
  std::int64_t g3;
  std::uint32_t cpu;    // of the host at h1
  std::uint32_t exits;  // measured exits within
  bool interrupted;     // a signal or kick fell into it
};

// What a sample cost: guest to guest, or host to host for kHostCall and kKick.
inline std::int64_t RoundTrip(const Sample& sample) {
  return sample.g3 - sample.g0;
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_SAMPLE_H_
