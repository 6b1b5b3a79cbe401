// Every scenario as a Google Benchmark: exit/user/pio_out/mode:ring0 and so on,
// for --benchmark_filter, --benchmark_repetitions and compare.py.
//
// It measures with the command's own Measurer: one run of a benchmark is one
// repetition of a row, in a VM of its own, and its time is the repetition's
// median round trip. What cannot be measured here is skipped with the reason.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/kvm_program.h"
#include "bench/measure.h"
#include "bench/noise.h"
#include "bench/session.h"
#include "bench/statistics.h"
#include "bench/watchdog.h"

namespace worldswitch {
namespace {

// As the command's: a block of the slowest scenario takes some 30 ms.
constexpr std::chrono::milliseconds kPatience(2000);
// Enough for p99; see Distribution::Percentile.
constexpr std::uint32_t kSamples = 1000;

// What all rows share while they are measured.
struct Bench {
  explicit Bench(KvmProgram& kvm)
      : program(kvm),
        watchdog(kPatience),
        noise(static_cast<int>(kvm.cpu)),
        measurer(
            *kvm.backend, watchdog, noise,
            {.samples = kSamples, .cpu = kvm.cpu, .knobs = {}, .cpus = {}}) {}

  KvmProgram& program;
  Watchdog watchdog;
  NoiseProbe noise;
  Measurer measurer;
};

std::vector<std::int64_t> RoundTrips(const Repetition& repetition) {
  std::vector<std::int64_t> ticks;
  ticks.reserve(repetition.samples.size());
  for (const Sample& sample : repetition.samples) {
    ticks.push_back(RoundTrip(sample));
  }
  return ticks;
}

double ExitsPerIteration(const Repetition& repetition) {
  std::uint64_t exits = 0;
  for (const Sample& sample : repetition.samples) exits += sample.exits;
  return static_cast<double>(exits) /
         static_cast<double>(repetition.samples.size());
}

void MeasureRow(benchmark::State& state, Bench& bench, Row& row) {
  for (auto _ : state) {
    row.repetitions.clear();
    bench.measurer.MeasureOnce(row);
    if (row.repetitions.empty()) {
      state.SkipWithError(
          absl::StrCat(VerdictName(row.verdict), ": ", row.why).c_str());
      return;
    }
    const Repetition& repetition = row.repetitions.back();
    const Distribution trips(RoundTrips(repetition));
    state.SetIterationTime(bench.program.Seconds(trips.median()));
    state.counters["p50_ticks"] = trips.median();
    if (const auto p99 = trips.Percentile(0.99); p99.has_value()) {
      state.counters["p99_ticks"] = *p99;
    }
    state.counters["samples"] = static_cast<double>(trips.count());
    if (row.scenario->proof_kind == ProofKind::kExitSeen ||
        row.scenario->proof_kind == ProofKind::kDelivery) {
      state.counters["exits_per_iteration"] = ExitsPerIteration(repetition);
    }
  }
  state.SetLabel(row.why.empty()
                     ? VerdictName(row.verdict)
                     : absl::StrCat(VerdictName(row.verdict), ": ", row.why));
}

void AddRows(KvmProgram& program) {
  const auto bench = std::make_shared<Bench>(program);
  absl::StatusOr<std::vector<Row>> rows = SelectRows({});
  if (!rows.ok()) return;
  for (Row& row : *rows) {
    // What an architecture does not have in a mode is no benchmark.
    if (row.verdict == Verdict::kUnsupported) continue;
    const auto kept = std::make_shared<Row>(std::move(row));
    AddBenchmark(absl::StrCat("exit/", kept->Name()), 1,
                 [bench, kept](benchmark::State& state) {
                   MeasureRow(state, *bench, *kept);
                 });
  }
}

}  // namespace
}  // namespace worldswitch

int main(int argc, char** argv) {
  return worldswitch::RunKvmProgram(argc, argv, worldswitch::AddRows);
}
