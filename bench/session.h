// A whole run: every row of the catalogue that was asked for, measured
// interleaved, repetition by repetition, so that a host that changes its speed
// changes it for all rows alike; and the A/A noise floor of this very run.

#ifndef WORLDSWITCH_BENCH_SESSION_H_
#define WORLDSWITCH_BENCH_SESSION_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bench/measure.h"
#include "bench/row.h"
#include "bench/watchdog.h"
#include "core/host/backend.h"

namespace worldswitch {

struct SessionOptions {
  std::vector<std::string> scenarios;  // globs ("user/*"); empty: all
  std::optional<GuestMode> mode;       // empty: all
  std::uint32_t samples = 1000;        // a repetition
  std::uint32_t repetitions = 10;
  std::uint32_t cpu = 0;  // to pin to
  // About how long the whole run may take: slow exits get fewer samples for
  // it, in the time that quick ones leave. 0: as long as it takes.
  double seconds = 0;
  std::vector<std::uint32_t> cpus;  // those that the program may use
  KnobSettings knobs;               // for every VM
};

// Two identical VMs measured in turns: how far apart two figures of this run
// can be and still mean the same.
struct NoiseFloor {
  std::string scenario;       // what was measured
  std::uint64_t samples = 0;  // on each side
  double median_a = 0;        // ticks
  double median_b = 0;
  double relative = 0;                 // |b - a| / a of the pooled medians
  std::vector<double> per_repetition;  // signed, of each repetition
};

struct SessionResult {
  std::vector<Row> rows;  // in the catalogue's order
  std::optional<NoiseFloor> floor;
  std::uint32_t repetitions_done = 0;
  bool interrupted = false;  // by Watchdog::Stop
};

// Told before each piece of work: what comes now, and how much is done.
using ProgressFunction =
    std::function<void(const std::string& what, double fraction)>;

// The rows that options ask for, not measured. NotFound: a glob that matches
// nothing, with what there is.
absl::StatusOr<std::vector<Row>> SelectRows(const SessionOptions& options);

// Measures `rows`. The calling thread must be pinned to options.cpu already.
// Fails only if nothing can be measured at all.
absl::StatusOr<SessionResult> RunSession(Backend& backend, Watchdog& watchdog,
                                         const SessionOptions& options,
                                         std::vector<Row> rows,
                                         const ProgressFunction& progress);

// The CPUs that the calling thread may run on: what the program may use, if it
// is asked before anything is pinned.
absl::StatusOr<std::vector<std::uint32_t>> UsableCpus();
// Pins the calling thread. Fails with the range of CPUs that exist, or those
// that are allowed.
absl::Status PinToCpu(std::uint32_t cpu);
// The CPU to use unless told otherwise: the last one allowed, since the first
// ones serve the host's housekeeping.
absl::StatusOr<std::uint32_t> DefaultCpu();

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_SESSION_H_
