#include "bench/guest_repetition.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/exit_text.h"
#include "bench/judge.h"
#include "bench/parallel_vcpus.h"
#include "bench/sample.h"
#include "bench/statistics.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

using Clock = std::chrono::steady_clock;

// Warm-up: stable when the medians of 4 blocks lie within 5 %; given up, and
// said so, after 40 blocks.
constexpr std::size_t kWarmUpWindows = 4;
constexpr double kWarmUpTolerance = 0.05;
constexpr std::uint32_t kWarmUpCap = 40;

// Batches: five, of as many iterations as fit into 20 ms together, or into a
// quarter of the budget; at most 1000.
constexpr std::uint32_t kBatches = 5;
constexpr std::uint32_t kBatchIterations = 200;
constexpr std::uint32_t kFewestInBatch = 10;
constexpr double kBatchSeconds = 0.02;
constexpr double kBatchShare = 0.25;

double MedianRoundTrip(const std::vector<Sample>& samples) {
  std::vector<std::int64_t> ticks;
  ticks.reserve(samples.size());
  for (const Sample& sample : samples) ticks.push_back(RoundTrip(sample));
  return Distribution(std::move(ticks)).median();
}

// Adds by how much a counter moved, or empties *moved for good.
void AddMove(const OptionalValue& before, const OptionalValue& after,
             std::optional<std::int64_t>* moved) {
  if (!before.known || !after.known) {
    moved->reset();
  } else if (moved->has_value()) {
    **moved += static_cast<std::int64_t>(after.value - before.value);
  }
}

}  // namespace

bool GuestRepetition::Prepare() {
  const Result loaded = driver_->Load(*row_.mode);
  if (loaded != Result::kOk) {
    Refuse(row_, Verdict::kUnsupported,
           absl::StrCat("the engine refuses this mode's registers: ",
                        ErrnoName(vm_.vcpu(0).last_error())));
    return false;
  }
  if (scenario_.prepare != nullptr && !scenario_.prepare(vm_)) {
    Refuse(row_, Verdict::kUnsupported,
           "this VM cannot be set up for it (the engine refuses)");
    return false;
  }
  step_ = MakeScenarioStep(scenario_, *row_.mode, options_.cpu, options_.cpus,
                           other_);
  if (step_ != nullptr && !step_->ready()) {
    Refuse(row_, Verdict::kUnsupported, step_->why());
    return false;
  }
  driver_->set_step(step_.get());
  peer_ = scenario_.kind == ScenarioKind::kParallel
              ? StartParallelPeers(vm_, *row_.mode, options_.cpu, options_.cpus,
                                   watchdog_.stop())
              : StartPeer(vm_, scenario_, *row_.mode, watchdog_.stop());
  if (peer_ != nullptr && !peer_->ready()) {
    Refuse(row_, Verdict::kUnsupported, peer_->why());
    return false;
  }
  return true;
}

void GuestRepetition::Measure() {
  if (!Prepare()) return;
  // One iteration first: what faults or hangs does so here.
  if (!RunBlock(BlockCommand::kSample, 1)) return;
  if (!WarmUpGuest() || !TakeSamples() || !TakeBatches()) return;
  JudgeSamples();
  row_.repetitions.push_back(std::move(repetition_));
}

bool GuestRepetition::RunBlock(BlockCommand command, std::uint32_t count) {
  watchdog_.Watch(vm_.vcpu(0).kick_handle());
  const BlockStatus status = driver_->Run(command, count);
  const bool barked = watchdog_.Unwatch();
  if (status == BlockStatus::kDone) return true;
  Explain(status, barked);
  return false;
}

void GuestRepetition::Explain(BlockStatus status, bool barked) {
  switch (status) {
    case BlockStatus::kDone:
      break;
    case BlockStatus::kFault: {
      const GuestFault fault = ReadGuestFault(vm_, *row_.mode);
      Refuse(row_, Verdict::kUnsupported,
             absl::StrFormat("the guest got %s at rip %#x",
                             ExceptionName(fault.vector), fault.rip));
      break;
    }
    case BlockStatus::kUnexpectedExit: {
      if (step_ != nullptr && !step_->ready()) {
        Refuse(row_, Verdict::kUnproven, step_->why());
        break;
      }
      const Exit& exit = driver_->last_exit();
      const bool gave_up = exit.reason == ExitReason::kInternalError ||
                           exit.reason == ExitReason::kShutdown ||
                           exit.reason == ExitReason::kEntryFailure ||
                           exit.reason == ExitReason::kError;
      Refuse(row_, gave_up ? Verdict::kUnsupported : Verdict::kUnproven,
             absl::StrCat(gave_up ? "" : "unexpected exit: ",
                          DescribeExit(exit, vm_)));
      break;
    }
    case BlockStatus::kStopped:
      // Stopped by the user: the repetition is dropped, the row stays.
      if (barked) {
        Refuse(
            row_, Verdict::kHangs,
            absl::StrCat("the guest made no progress until it was kicked out",
                         WhereItIs()));
      }
      break;
    case BlockStatus::kBadMemory:
      Refuse(row_, Verdict::kUnsupported,
             "the VM has less memory than the guest needs");
      break;
  }
}

std::string GuestRepetition::WhereItIs() {
  VcpuOps& vcpu = vm_.vcpu(0);
  if (vcpu.fetch_registers(kAllRegisters) != Result::kOk) return "";
  const RegisterFile& registers = vcpu.registers();
  return absl::StrFormat(", at %#x:%#x", registers.special.cs.selector,
                         registers.general.rip);
}

bool GuestRepetition::WarmUpGuest() {
  WarmUp warm_up(kWarmUpWindows, kWarmUpTolerance);
  std::uint32_t size = std::min(kSlowBlockIterations, scenario_.max_block);
  const Clock::time_point start = Clock::now();
  while (!warm_up.stable() && warm_up.seen() < kWarmUpCap) {
    const Clock::time_point block_start = Clock::now();
    if (!RunBlock(BlockCommand::kSample, size)) return false;
    std::vector<Sample> samples(size);
    driver_->Samples(samples.data(), size);
    warm_up.Add(std::max(1.0, MedianRoundTrip(samples)));
    const Clock::time_point now = Clock::now();
    iteration_ = (now - block_start) / size;
    // Whole blocks, if four of them fit into the budget.
    const std::uint32_t whole = std::min(kBlockIterations, scenario_.max_block);
    if (warm_up.seen() < kWarmUpWindows &&
        iteration_ * whole * 4 < options_.budget) {
      size = whole;
    }
    // Slow exits need no forty blocks to be warm.
    if (warm_up.seen() >= kWarmUpWindows && now - start > options_.budget / 2) {
      break;
    }
  }
  block_size_ = size;
  repetition_.warm_up_blocks = static_cast<std::uint32_t>(warm_up.seen());
  repetition_.warm_up_stable = warm_up.stable();
  return true;
}

bool GuestRepetition::TakeSamples() {
  const std::uint32_t size = block_size_;
  const std::uint32_t blocks = (options_.samples + size - 1) / size;
  repetition_.samples.reserve(std::size_t{blocks} * size);
  repetition_.flags.reserve(std::size_t{blocks} * size);
  repetition_.control.reserve(std::size_t{blocks} * size);
  repetition_.has_legs = true;
  const Clock::time_point deadline = Clock::now() + options_.budget;
  if (peer_ != nullptr) peer_->Begin();
  for (std::uint32_t block = 0; block < blocks; ++block) {
    if (watchdog_.stopped()) return false;
    if (block > 0 && Clock::now() > deadline) break;
    // Sample and control change places every block, so that neither always
    // comes after the other.
    const bool sample_first = block % 2 == 0;
    if (!(sample_first ? SampleBlock(size) : ControlBlock(size)) ||
        !(sample_first ? ControlBlock(size) : SampleBlock(size))) {
      return false;
    }
  }
  if (peer_ != nullptr) facts_.others_failed = peer_->Finish(&others_);
  return true;
}

bool GuestRepetition::SampleBlock(std::uint32_t size) {
  const NoiseReading before = noise_.Read();
  if (!RunBlock(BlockCommand::kSample, size)) return false;
  const std::uint8_t flags = FlagsOf(Difference(before, noise_.Read()));
  const std::size_t first = repetition_.samples.size();
  repetition_.samples.resize(first + size);
  Sample* samples = &repetition_.samples[first];
  const bool told_apart = driver_->Samples(samples, size);
  const std::uint32_t measured = driver_->measured_exits();
  consistent_ = consistent_ && told_apart;
  repetition_.has_legs = repetition_.has_legs && told_apart && measured >= size;
  if (measured < fewest_exits_ * size) {
    fewest_exits_ = static_cast<double>(measured) / size;
  }
  facts_.exits_seen += measured;
  for (std::uint32_t i = 0; i < size; ++i) {
    unsigned own = flags;
    // Where moving is what is measured, it contaminates nothing.
    if (scenario_.host_step != HostStep::kMoveToAnotherCpu &&
        samples[i].cpu != (options_.cpu & 0xfff)) {
      own |= kMigrated;
    }
    if (samples[i].interrupted) own |= kSignalled;
    if (samples[i].g3 == 0) ++facts_.undelivered;
    repetition_.flags.push_back(static_cast<std::uint8_t>(own));
  }
  return true;
}

bool GuestRepetition::ControlBlock(std::uint32_t size) {
  if (!RunBlock(BlockCommand::kSampleControl, size)) return false;
  std::vector<Sample> samples(size);
  driver_->Samples(samples.data(), size);
  for (const Sample& sample : samples) {
    repetition_.control.push_back(RoundTrip(sample));
  }
  return true;
}

bool GuestRepetition::TakeBatches() {
  std::uint32_t count = kBatchIterations;
  using Seconds = std::chrono::duration<double>;
  const double seconds =
      std::min(kBatchSeconds, kBatchShare * Seconds(options_.budget).count());
  // What comes before and after the stamps takes its time as well.
  const double iteration = std::max(1e-9, Seconds(iteration_).count());
  const double fitting = seconds / iteration / kBatches;
  if (fitting < count) {
    count = std::max(kFewestInBatch, static_cast<std::uint32_t>(fitting));
  }
  count = std::min(count, scenario_.max_block);
  std::vector<double> figures;
  facts_.moved = facts_.control = facts_.second_moved = 0;
  for (std::uint32_t i = 0; i < kBatches; ++i) {
    std::int64_t with = 0;
    std::int64_t without = 0;
    if (!RunBatch(BlockCommand::kBatch, count, &with, &facts_.moved) ||
        !RunBatch(BlockCommand::kBatchControl, count, &without,
                  &facts_.control)) {
      return false;
    }
    figures.push_back(BatchFigure(scenario_, with, without, count));
  }
  repetition_.batch = Median(std::move(figures));
  facts_.batch_iterations = std::uint64_t{count} * kBatches;
  return true;
}

bool GuestRepetition::RunBatch(BlockCommand command, std::uint32_t count,
                               std::int64_t* ticks,
                               std::optional<std::int64_t>* moved) {
  const OptionalValue before = Counted();
  const OptionalValue second_before = vm_.counter(scenario_.second_counter, 0);
  if (!RunBlock(command, count)) return false;
  const OptionalValue after = Counted();
  const OptionalValue second_after = vm_.counter(scenario_.second_counter, 0);
  *ticks = driver_->BatchTicks();
  AddMove(before, after, moved);
  if (command == BlockCommand::kBatch) {
    AddMove(second_before, second_after, &facts_.second_moved);
  }
  return true;
}

OptionalValue GuestRepetition::Counted() {
  if (scenario_.count == nullptr) return vm_.counter(scenario_.counter, 0);
  return {.known = true, .value = scenario_.count(vm_)};
}

void GuestRepetition::JudgeSamples() {
  facts_.samples = repetition_.samples.size();
  facts_.even = consistent_ && fewest_exits_ >= 1;
  if (step_ != nullptr) facts_.others = step_->evidence();
  if (!others_.empty()) {
    absl::StrAppend(&facts_.others, facts_.others.empty() ? "" : "; ", others_);
  }
  JudgeRepetition(row_, facts_);
}

}  // namespace worldswitch
