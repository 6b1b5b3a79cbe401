#include "native/repetition.h"

#include <algorithm>

#include "native/console.h"
#include "native/log_format.h"
#include "native/log_writer.h"

namespace worldswitch::native {
namespace {

constexpr std::size_t kNameWidth = 34;
constexpr std::size_t kModeWidth = 6;
constexpr std::size_t kFigureWidth = 9;

std::size_t PagesFor(std::size_t bytes) {
  return (bytes + kPageBytes - 1) / kPageBytes;
}

}  // namespace

Repetition::Repetition(const HostServices& host, std::uint32_t most)
    : sample_pages_(host, PagesFor(most * sizeof(Sample))),
      control_pages_(host, PagesFor(most * sizeof(std::int64_t))),
      most_(most) {}

void Repetition::Clear() {
  sample_count = 0;
  control_count = 0;
  has_legs = true;
  consistent = true;
  exits_seen = 0;
  undelivered = 0;
  warm_up_blocks = 0;
  warm_up_stable = false;
  batch_count = 0;
  counter_count = 0;
}

void LogRepetition(const Repetition& repetition) {
  console.Text(native_log::kRepetition).Text(" ");
  console.Decimal(repetition.warm_up_blocks).Text(" ");
  console.Decimal(repetition.warm_up_stable ? 1 : 0).End();
  SampleLog log;
  for (std::uint32_t i = 0; i < repetition.sample_count; ++i) {
    log.Add(repetition.samples()[i], repetition.has_legs);
  }
  for (std::uint32_t i = 0; i < repetition.control_count; ++i) {
    log.AddControl(repetition.control()[i]);
  }
  log.Flush();
  console.Text(native_log::kMeasured).Text(" ");
  console.Decimal(repetition.exits_seen).Text(" ");
  console.Decimal(repetition.consistent ? 1 : 0).Text(" ");
  console.Decimal(repetition.undelivered).End();
  for (std::size_t i = 0; i < repetition.batch_count; ++i) {
    const Batch& batch = repetition.batches[i];
    console.Text(native_log::kBatch).Text(" ").Decimal(batch.count);
    console.Text(" ").Signed(batch.with).Text(" ").Signed(batch.without).End();
  }
  for (std::size_t i = 0; i < repetition.counter_count; ++i) {
    const CounterMove& move = repetition.counters[i];
    console.Text(native_log::kCount).Text(" ").Text(move.name);
    console.Text(" ").Signed(move.with).Text(" ").Signed(move.without).End();
  }
}

void PrintRepetition(const char* scenario, const char* mode,
                     const Repetition& repetition) {
  // The control's values are logged by now, and may change places.
  const std::int64_t control =
      Median(repetition.control(), repetition.control_count);
  for (std::uint32_t i = 0; i < repetition.sample_count; ++i) {
    repetition.control()[i] = RoundTrip(repetition.samples()[i]);
  }
  const std::int64_t round_trip =
      Median(repetition.control(), repetition.sample_count);
  console.Left(scenario, kNameWidth).Text(" ").Left(mode, kModeWidth);
  console.SignedRight(round_trip, kFigureWidth);
  console.SignedRight(round_trip - control, kFigureWidth);
  std::int64_t net[Repetition::kMostBatches];
  for (std::size_t i = 0; i < repetition.batch_count; ++i) {
    const Batch& batch = repetition.batches[i];
    net[i] = (batch.with - batch.without) / batch.count;
  }
  if (repetition.batch_count > 0) {
    console.SignedRight(Median(net, repetition.batch_count), kFigureWidth);
  } else {
    console.Left("        -", kFigureWidth);
  }
  console.DecimalRight(repetition.exits_seen, kFigureWidth).End();
}

std::int64_t Median(std::int64_t* values, std::size_t count) {
  if (count == 0) return 0;
  std::nth_element(values, values + count / 2, values + count);
  return values[count / 2];
}

}  // namespace worldswitch::native
