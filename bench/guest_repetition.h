// Inside ws_bench: one repetition of a scenario whose guest stamps, from the
// first iteration to the verdict. Measurer makes one for each fresh VM; all
// others use measure.h.

#ifndef WORLDSWITCH_BENCH_GUEST_REPETITION_H_
#define WORLDSWITCH_BENCH_GUEST_REPETITION_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bench/block_driver.h"
#include "bench/host_steps.h"
#include "bench/judge.h"
#include "bench/measure.h"
#include "bench/noise.h"
#include "bench/peer_scenarios.h"
#include "bench/row.h"
#include "bench/watchdog.h"
#include "core/host/backend.h"

namespace worldswitch {

// Used once, by one thread; all that it is given must outlive it.
class GuestRepetition {
 public:
  // vm: fresh, as Measurer::CreateVm makes it for the row's scenario. The row
  // has a mode. other: a second VM where the scenario's host_step needs one.
  GuestRepetition(Row& row, Vm& vm, Vm* other, Watchdog& watchdog,
                  NoiseProbe& noise, const MeasureOptions& options)
      : row_(row),
        scenario_(*row.scenario),
        vm_(vm),
        other_(other),
        watchdog_(watchdog),
        noise_(noise),
        options_(options),
        driver_(std::make_unique<BlockDriver>(vm, scenario_, watchdog.stop())) {
  }

  // Adds the repetition to the row and judges it, or refuses the row and says
  // why. Does neither where Watchdog::Stop cut it short.
  void Measure();

 private:
  // Those that return bool: false ends the repetition; the row knows why.
  // Everything that the blocks need besides the guest's own vCPU.
  bool Prepare();
  bool RunBlock(BlockCommand command, std::uint32_t count);
  void Explain(BlockStatus status, bool barked);
  // ", at CS:RIP", in hexadecimal; "" where the engine does not say.
  std::string WhereItIs();

  bool WarmUpGuest();
  bool TakeSamples();
  bool SampleBlock(std::uint32_t size);
  bool ControlBlock(std::uint32_t size);

  // Ticks an iteration with the instruction minus without it, the median of a
  // few batches; and what the engine's counter says of the same batches. A
  // control is not compared with itself: its batch figure is the loop's cost.
  bool TakeBatches();
  // Adds what the counter moved by to *moved, or empties it for good.
  bool RunBatch(BlockCommand command, std::uint32_t count, std::int64_t* ticks,
                std::optional<std::int64_t>* moved);
  // The scenario's own count, or the engine's counter that it names.
  OptionalValue Counted();

  void JudgeSamples();

  Row& row_;
  const Scenario& scenario_;
  Vm& vm_;
  Vm* other_;
  Watchdog& watchdog_;
  NoiseProbe& noise_;
  const MeasureOptions& options_;
  // Before the driver, which uses it.
  std::unique_ptr<ScenarioStep> step_;
  std::unique_ptr<ScenarioPeer> peer_;
  std::unique_ptr<BlockDriver> driver_;
  Repetition repetition_;
  // How long one takes with everything around it, as of the last warm-up block.
  std::chrono::steady_clock::duration iteration_ = {};
  std::uint32_t block_size_ = 1;  // iterations; chosen by the warm-up
  bool consistent_ = true;
  double fewest_exits_ = 1;
  std::string others_;  // what the peer says it did
  RepetitionFacts facts_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_GUEST_REPETITION_H_
