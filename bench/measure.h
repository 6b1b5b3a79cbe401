// Measures one repetition of one row: a fresh VM, a warm-up until it is stable,
// blocks of samples with blocks of the control between them, the proof, and the
// batch figure.

#ifndef WORLDSWITCH_BENCH_MEASURE_H_
#define WORLDSWITCH_BENCH_MEASURE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/noise.h"
#include "bench/row.h"
#include "bench/watchdog.h"
#include "core/host/backend.h"

namespace worldswitch {

// Iterations in one block: short against the seconds for which a shared host
// changes speed, long against the reading of the noise between blocks.
inline constexpr std::uint32_t kBlockIterations = 50;
// The same for exits so slow that a few such blocks are beyond the budget.
inline constexpr std::uint32_t kSlowBlockIterations = 10;

struct MeasureOptions {
  std::uint32_t samples = 1000;  // a repetition, rounded up to whole blocks
  std::uint32_t cpu = 0;         // the one this thread is pinned to
  // A repetition stops taking samples after this long: some exits cost half a
  // millisecond each.
  std::chrono::milliseconds budget{150};
  KnobSettings knobs;               // for every VM
  std::vector<std::uint32_t> cpus;  // those that the program may use
};

class Measurer {
 public:
  // All must outlive the measurer, which is used by one thread.
  Measurer(Backend& backend, Watchdog& watchdog, NoiseProbe& noise,
           MeasureOptions options)
      : backend_(backend),
        watchdog_(watchdog),
        noise_(noise),
        options_(std::move(options)) {}

  // Adds a repetition to the row and judges it. A row that is kUnsupported or
  // kHangs is left alone; a repetition that Watchdog::Stop cut short is
  // dropped.
  void MeasureOnce(Row& row);

  // From now on.
  void set_budget(std::chrono::milliseconds budget) {
    options_.budget = budget;
  }

  // A VM as the row's scenario needs it.
  absl::StatusOr<std::unique_ptr<Vm>> CreateVm(const Scenario& scenario);

 private:
  void MeasureGuest(Row& row, Vm& vm);
  void MeasureKick(Row& row, Vm& vm);
  void MeasureHostCall(Row& row, Vm& vm);

  Backend& backend_;
  Watchdog& watchdog_;
  NoiseProbe& noise_;
  MeasureOptions options_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_MEASURE_H_
