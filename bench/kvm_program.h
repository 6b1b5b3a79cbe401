// What the Google Benchmark programs on /dev/kvm have in common: they open it,
// pin themselves, and put the engine and the host into the result's context.

#ifndef WORLDSWITCH_BENCH_KVM_PROGRAM_H_
#define WORLDSWITCH_BENCH_KVM_PROGRAM_H_

#include <benchmark/benchmark.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/kvm/kvm_backend.h"

namespace worldswitch {

struct KvmProgram {
  std::unique_ptr<KvmBackend> backend;
  std::string engine;               // "kvm_pvm"
  double tsc_hz = 0;                // ticks per second
  std::uint32_t cpu = 0;            // pinned to
  std::vector<std::uint32_t> cpus;  // those that the program may use

  double Seconds(double ticks) const { return ticks / tsc_hz; }
};

// Registers a benchmark that times itself (SetIterationTime), in microseconds.
void AddBenchmark(const std::string& name, std::int64_t iterations,
                  std::function<void(benchmark::State&)> run);

// main: `add` registers the benchmarks; the program lives until they have run.
// Where /dev/kvm cannot be used, and in a lab, which has no clock, it says why
// and returns 0. 1: bad arguments.
int RunKvmProgram(int argc, char** argv,
                  const std::function<void(KvmProgram&)>& add);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_KVM_PROGRAM_H_
