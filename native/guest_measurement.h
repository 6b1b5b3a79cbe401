// One repetition of a scenario whose guest stamps, in ring 0: the procedure of
// bench/guest_repetition.cc by fixed counts, without a clock or a budget, so
// that an emulator that counts gives the same figures every time.
//
// Freestanding.

#ifndef WORLDSWITCH_NATIVE_GUEST_MEASUREMENT_H_
#define WORLDSWITCH_NATIVE_GUEST_MEASUREMENT_H_

#include <cstdint>

#include "bench/block_driver.h"
#include "bench/scenario.h"
#include "core/features/processor_controls.h"
#include "native/repetition.h"

namespace worldswitch::native {

// Used once. All that it is given must outlive it.
class GuestMeasurement {
 public:
  // vm: fresh, as the scenario needs it; the driver's.
  GuestMeasurement(BlockDriver& driver, VmOps& vm, const Scenario& scenario,
                   GuestMode mode)
      : driver_(driver),
        vm_(vm),
        scenario_(scenario),
        mode_(mode),
        controls_(FeatureOf<ProcessorControls>(vm)) {}

  // samples: at least so many; whole blocks are taken. False: *refusal, and
  // what *into then holds means nothing.
  bool Measure(std::uint32_t samples, Repetition* into, Refusal* refusal);

  // How many samples and control samples Measure takes at most.
  static std::uint32_t MostSamples(std::uint32_t samples);

 private:
  static constexpr std::size_t kCounters = 5;

  // Those that return bool: false ends the repetition; refusal_ knows why.
  bool Prepare();
  bool RunBlock(BlockCommand command, std::uint32_t count);
  void Explain(BlockStatus status, bool too_long);
  bool WarmUp();
  bool TakeSamples(std::uint32_t samples);
  bool SampleBlock();
  bool ControlBlock();
  bool TakeBatches(std::uint32_t samples);
  bool RunBatch(BlockCommand command, std::uint32_t count, std::int64_t* ticks,
                bool with);
  void ReadCounters(OptionalValue values[kCounters]);
  void BeginCounters();

  BlockDriver& driver_;
  VmOps& vm_;
  const Scenario& scenario_;
  const GuestMode mode_;
  ProcessorControls* const controls_;
  Repetition* into_ = nullptr;
  Refusal* refusal_ = nullptr;
  std::uint32_t block_ = 0;  // iterations
  // The counters that are known, in into_->counters, by the index in
  // ReadCounters; kCounters: this one is not.
  std::size_t place_[kCounters] = {};
};

// "Io, port 0xe0", "EntryFailure, hardware reason 0x80000021".
void DescribeExit(const Exit& exit, TextLine* text);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_GUEST_MEASUREMENT_H_
