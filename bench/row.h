// One row of the result: a scenario in a mode, its verdict, and every sample
// that was taken for it.

#ifndef WORLDSWITCH_BENCH_ROW_H_
#define WORLDSWITCH_BENCH_ROW_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bench/sample.h"
#include "bench/scenario.h"

namespace worldswitch {

enum class Verdict : std::uint8_t {
  kPending,      // not measured yet
  kProven,       // what was measured happened, once an iteration
  kNoExit,       // shown not to exit: the figure is the engine's without one
  kUnproven,     // measured, but nothing shows what happened
  kUnsupported,  // cannot be done here; `why` says by whose word
  kHangs,        // the guest never came back
};
// "proven", "no exit", "unproven", "unsupported", "hangs here", "pending".
const char* VerdictName(Verdict verdict);

// Why a sample may be contaminated. Nothing is ever deleted for it.
enum SampleFlag : std::uint8_t {
  kMigrated = 1,       // taken on another CPU than the pinned one
  kSignalled = 2,      // a signal or kick fell into it
  kSwitchInBlock = 4,  // the thread was switched out during its block
  kIrqInBlock = 8,     // a device or IPI interrupt hit the CPU in its block
  kTimerInBlock = 16,  // a timer interrupt did
  kFaultInBlock = 32,  // the thread took a page fault of the host
};
inline constexpr int kSampleFlagCount = 6;
const char* SampleFlagName(int bit);  // 0 to kSampleFlagCount - 1

// One repetition: a VM of its own, warmed up, then measured.
struct Repetition {
  std::vector<Sample> samples;        // in the order they were taken
  std::vector<std::uint8_t> flags;    // SampleFlag bits, one a sample
  std::vector<std::int64_t> control;  // ticks of each control iteration
  bool has_legs = false;              // samples' h1 and h2 are good
  // Net ticks an iteration in batch mode; empty if none was run.
  std::optional<double> batch;
  std::uint32_t warm_up_blocks = 0;
  bool warm_up_stable = false;
};

struct Row {
  const Scenario* scenario = nullptr;
  std::optional<GuestMode> mode;  // none for kHostCall
  Verdict verdict = Verdict::kPending;
  std::string why;       // of kUnsupported, kUnproven, kHangs
  std::string evidence;  // what the proof saw: "exits +1000 in 1000"
  std::vector<Repetition> repetitions;
  // How often something happened for each iteration, by name: "vmreads". Only
  // what the boot image counts, in its batches.
  std::map<std::string, double> per_iteration;

  // "user/pio_out/mode:ring0"; host calls have no mode.
  std::string Name() const;
  bool has_figures() const { return !repetitions.empty(); }
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_ROW_H_
