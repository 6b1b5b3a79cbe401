#include "native/guest_measurement.h"

#include "native/run_guard.h"

namespace worldswitch::native {
namespace {

constexpr std::uint32_t kBlock = 50;  // iterations
// Warm-up: stable when the medians of 4 blocks lie within 5 %; given up, and
// said so, after 40 blocks.
constexpr std::uint32_t kWarmUpWindows = 4;
constexpr std::uint32_t kWarmUpCap = 40;
constexpr std::int64_t kWarmUpParts = 20;  // 1 of them may be the difference
constexpr std::uint32_t kMostInBatch = 200;
constexpr std::uint32_t kFewestInBatch = 10;
// As 100 samples to 40 iterations.
constexpr std::uint32_t kBatchNumerator = 2;
constexpr std::uint32_t kBatchDenominator = 5;

std::uint32_t Smaller(std::uint32_t a, std::uint32_t b) {
  return a < b ? a : b;
}

}  // namespace

void DescribeExit(const Exit& exit, TextLine* text) {
  text->Append(ExitReasonName(exit.reason));
  switch (exit.reason) {
    case ExitReason::kIo:
      text->Append(exit.io.is_write ? ", OUT to port " : ", IN from port ")
          .AppendHex(exit.io.port);
      break;
    case ExitReason::kMmio:
      text->Append(exit.mmio.is_write ? ", write to " : ", read from ")
          .AppendHex(exit.mmio.gpa);
      break;
    case ExitReason::kPageFault:
      text->Append(", guest-physical ").AppendHex(exit.page_fault.gpa);
      break;
    case ExitReason::kEntryFailure:
      text->Append(", hardware reason ")
          .AppendHex(exit.entry_failure.hardware_reason);
      break;
    case ExitReason::kInternalError:
      text->Append(", suberror ").AppendDecimal(exit.internal_error.suberror);
      break;
    case ExitReason::kError:
      text->Append(", errno ")
          .AppendDecimal(static_cast<std::uint64_t>(exit.error.error_number));
      break;
    default:
      break;
  }
  text->Append(", raw ").AppendHex(exit.raw);
}

std::uint32_t GuestMeasurement::MostSamples(std::uint32_t samples) {
  return (samples + kBlock - 1) / kBlock * kBlock;
}

bool GuestMeasurement::Measure(std::uint32_t samples, Repetition* into,
                               Refusal* refusal) {
  into_ = into;
  refusal_ = refusal;
  into->Clear();
  block_ = Smaller(kBlock, scenario_.max_block);
  // One iteration first: what faults or hangs does so here.
  return Prepare() && RunBlock(BlockCommand::kSample, 1) && WarmUp() &&
         TakeSamples(samples) && TakeBatches(samples);
}

bool GuestMeasurement::Prepare() {
  if (driver_.Load(mode_) != Result::kOk) {
    refusal_->text.Append("the backend refuses this mode's registers");
    return false;
  }
  if (scenario_.prepare != nullptr && !scenario_.prepare(vm_)) {
    refusal_->text.Append(
        "this VM cannot be set up for it (the backend refuses)");
    return false;
  }
  return true;
}

bool GuestMeasurement::RunBlock(BlockCommand command, std::uint32_t count) {
  const KickHandle handle = vm_.vcpu(0).kick_handle();
  run_guard.Begin(handle);
  const BlockStatus status = driver_.Run(command, count);
  const bool too_long = run_guard.End();
  if (status == BlockStatus::kDone) return true;
  Explain(status, too_long);
  return false;
}

void GuestMeasurement::Explain(BlockStatus status, bool too_long) {
  TextLine& text = refusal_->text;
  switch (status) {
    case BlockStatus::kDone:
      break;
    case BlockStatus::kFault: {
      const GuestFault fault = ReadGuestFault(vm_, mode_);
      text.Append("the guest got ")
          .Append(ExceptionName(fault.vector))
          .Append(" at rip ")
          .AppendHex(fault.rip);
      break;
    }
    case BlockStatus::kUnexpectedExit: {
      const Exit& exit = driver_.last_exit();
      const bool gave_up = exit.reason == ExitReason::kInternalError ||
                           exit.reason == ExitReason::kShutdown ||
                           exit.reason == ExitReason::kEntryFailure ||
                           exit.reason == ExitReason::kError;
      if (!gave_up) {
        refusal_->verdict = "unproven";
        text.Append("unexpected exit: ");
      }
      DescribeExit(exit, &text);
      break;
    }
    case BlockStatus::kStopped:
      refusal_->verdict = "hangs";
      text.Append(too_long ? "the guest made no progress until it was kicked "
                             "out"
                           : "run was interrupted, and nobody asked for it");
      break;
    case BlockStatus::kBadMemory:
      text.Append("the VM has less memory than the guest needs");
      break;
  }
}

bool GuestMeasurement::WarmUp() {
  std::int64_t medians[kWarmUpWindows] = {};
  std::int64_t ticks[kBlock];
  Sample* const samples = into_->samples();
  while (!into_->warm_up_stable && into_->warm_up_blocks < kWarmUpCap) {
    if (!RunBlock(BlockCommand::kSample, block_)) return false;
    driver_.Samples(samples, block_);
    for (std::uint32_t i = 0; i < block_; ++i) ticks[i] = RoundTrip(samples[i]);
    const std::int64_t median = Median(ticks, block_);
    medians[into_->warm_up_blocks++ % kWarmUpWindows] = median > 1 ? median : 1;
    if (into_->warm_up_blocks < kWarmUpWindows) continue;
    std::int64_t low = medians[0];
    std::int64_t high = medians[0];
    for (const std::int64_t each : medians) {
      if (each < low) low = each;
      if (each > high) high = each;
    }
    into_->warm_up_stable = (high - low) * kWarmUpParts <= low;
  }
  return true;
}

bool GuestMeasurement::TakeSamples(std::uint32_t samples) {
  const std::uint32_t blocks = (samples + block_ - 1) / block_;
  for (std::uint32_t block = 0; block < blocks; ++block) {
    if (into_->sample_count + block_ > into_->most()) break;
    // Sample and control change places every block, so that neither always
    // comes after the other.
    const bool sample_first = block % 2 == 0;
    if (!(sample_first ? SampleBlock() : ControlBlock()) ||
        !(sample_first ? ControlBlock() : SampleBlock())) {
      return false;
    }
  }
  return true;
}

bool GuestMeasurement::SampleBlock() {
  if (!RunBlock(BlockCommand::kSample, block_)) return false;
  Sample* const samples = into_->samples() + into_->sample_count;
  const bool told_apart = driver_.Samples(samples, block_);
  const std::uint32_t measured = driver_.measured_exits();
  into_->consistent = into_->consistent && told_apart;
  into_->has_legs = into_->has_legs && told_apart && measured >= block_;
  into_->exits_seen += measured;
  for (std::uint32_t i = 0; i < block_; ++i) {
    if (samples[i].g3 == 0) ++into_->undelivered;
  }
  into_->sample_count += block_;
  return true;
}

bool GuestMeasurement::ControlBlock() {
  if (!RunBlock(BlockCommand::kSampleControl, block_)) return false;
  Sample samples[kBlock];
  driver_.Samples(samples, block_);
  for (std::uint32_t i = 0; i < block_; ++i) {
    into_->control()[into_->control_count++] = RoundTrip(samples[i]);
  }
  return true;
}

bool GuestMeasurement::TakeBatches(std::uint32_t samples) {
  std::uint32_t count =
      Smaller(kMostInBatch, samples * kBatchNumerator / kBatchDenominator);
  if (count < kFewestInBatch) count = kFewestInBatch;
  count = Smaller(count, scenario_.max_block);
  BeginCounters();
  for (Batch& batch : into_->batches) {
    batch.count = count;
    if (!RunBatch(BlockCommand::kBatch, count, &batch.with, true) ||
        !RunBatch(BlockCommand::kBatchControl, count, &batch.without, false)) {
      return false;
    }
    ++into_->batch_count;
  }
  return true;
}

void GuestMeasurement::ReadCounters(OptionalValue values[kCounters]) {
  values[0] = vm_.counter(Counter::kExits, 0);
  values[1] = vm_.counter(scenario_.counter, 0);
  values[2] = vm_.counter(scenario_.second_counter, 0);
  values[3] = controls_ != nullptr ? controls_->vmreads(0) : OptionalValue();
  values[4] = controls_ != nullptr ? controls_->vmwrites(0) : OptionalValue();
}

void GuestMeasurement::BeginCounters() {
  const char* const names[kCounters] = {
      CounterName(Counter::kExits), CounterName(scenario_.counter),
      CounterName(scenario_.second_counter), "vmreads", "vmwrites"};
  const bool wanted[kCounters] = {true, scenario_.counter != Counter::kExits,
                                  scenario_.second != SecondCounter::kNone,
                                  true, true};
  OptionalValue values[kCounters];
  ReadCounters(values);
  for (std::size_t i = 0; i < kCounters; ++i) {
    place_[i] = kCounters;
    if (!wanted[i] || !values[i].known) continue;
    place_[i] = into_->counter_count;
    into_->counters[into_->counter_count++] = {.name = names[i]};
  }
}

bool GuestMeasurement::RunBatch(BlockCommand command, std::uint32_t count,
                                std::int64_t* ticks, bool with) {
  OptionalValue before[kCounters];
  OptionalValue after[kCounters];
  ReadCounters(before);
  if (!RunBlock(command, count)) return false;
  ReadCounters(after);
  *ticks = driver_.BatchTicks();
  for (std::size_t i = 0; i < kCounters; ++i) {
    if (place_[i] == kCounters) continue;
    CounterMove& move = into_->counters[place_[i]];
    const auto moved =
        static_cast<std::int64_t>(after[i].value - before[i].value);
    (with ? move.with : move.without) += moved;
  }
  return true;
}

}  // namespace worldswitch::native
