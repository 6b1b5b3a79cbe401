// What one repetition of a row measured, and how it is logged. Freestanding.

#ifndef WORLDSWITCH_NATIVE_REPETITION_H_
#define WORLDSWITCH_NATIVE_REPETITION_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/host_services.h"
#include "bench/sample.h"
#include "core/text_line.h"

namespace worldswitch::native {

struct Batch {
  std::uint32_t count = 0;  // iterations
  std::int64_t with = 0;    // ticks
  std::int64_t without = 0;
};

// By how much a counter moved in all batches together.
struct CounterMove {
  const char* name = "";
  std::int64_t with = 0;
  std::int64_t without = 0;
};

struct Repetition {
  static constexpr std::size_t kMostBatches = 5;
  static constexpr std::size_t kMostCounters = 6;

  // most: samples, and control samples. Without memory, samples() is null.
  Repetition(const HostServices& host, std::uint32_t most);

  Sample* samples() const { return sample_pages_.as<Sample>(); }
  std::int64_t* control() const { return control_pages_.as<std::int64_t>(); }
  std::uint32_t most() const { return most_; }
  // Empty again; the memory stays.
  void Clear();

  std::uint32_t sample_count = 0;
  std::uint32_t control_count = 0;
  bool has_legs = true;
  bool consistent = true;  // the exits come out even with the iterations
  std::uint64_t exits_seen = 0;
  std::uint32_t undelivered = 0;
  std::uint32_t warm_up_blocks = 0;
  bool warm_up_stable = false;
  Batch batches[kMostBatches];
  std::size_t batch_count = 0;
  CounterMove counters[kMostCounters];
  std::size_t counter_count = 0;

 private:
  HostPages sample_pages_;
  HostPages control_pages_;
  std::uint32_t most_ = 0;
};

// From @rep on.
void LogRepetition(const Repetition& repetition);
// One line for the person who watches.
void PrintRepetition(const char* scenario, const char* mode,
                     const Repetition& repetition);

// The middle of `count` values, which change places; 0 of none.
std::int64_t Median(std::int64_t* values, std::size_t count);

// Why a row has no figures; verdict as @why has it.
struct Refusal {
  const char* verdict = "unsupported";
  TextLine text;
};

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_REPETITION_H_
