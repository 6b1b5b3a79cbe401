#include "bench/block_driver.h"

#include <cstddef>

namespace worldswitch {
namespace {

void Store32(std::byte* to, std::uint32_t value) {
  __builtin_memcpy(to, &value, sizeof(value));
}

// from: aligned to 8. A peer thread may have written it.
std::int64_t Load64(const std::byte* from) {
  return __atomic_load_n(reinterpret_cast<const std::int64_t*>(from),
                         __ATOMIC_ACQUIRE);
}

// A peer thread stores stamps there as well, when the guest says so: an order
// that no host sees.
void ClearSamples(std::byte* page) {
  for (std::size_t at = 0; at < 4096; at += sizeof(std::int64_t)) {
    __atomic_store_n(reinterpret_cast<std::int64_t*>(page + at), 0,
                     __ATOMIC_RELAXED);
  }
}

bool IsDone(const Exit& exit) {
  return exit.reason == ExitReason::kIo && exit.io.port == WS_PORT_DONE;
}

bool IsFault(const Exit& exit) {
  return exit.reason == ExitReason::kIo && exit.io.port == WS_PORT_FAULT;
}

}  // namespace

BlockDriver::BlockDriver(VmOps& vm, const Scenario& scenario,
                         const std::atomic<bool>& stop)
    : vm_(vm),
      scenario_(scenario),
      stop_(stop),
      vcpu_(vm.vcpu(0)),
      loop_(LoopOn<VcpuOps>) {}

Result BlockDriver::Load(GuestMode mode) {
  mode_ = mode;
  const GuestSetup setup = {
      .payload = PayloadOf(scenario_),
      .mode = mode,
      .interrupts_on = scenario_.interrupts_on,
      .arguments = {scenario_.arguments[0], scenario_.arguments[1]}};
  return LoadGuest(vm_, 0, setup);
}

BlockStatus BlockDriver::Run(BlockCommand command, std::uint32_t count) {
  std::byte* memory = vm_.memory().At(0, WS_MEMORY_BYTES);
  if (memory == nullptr) return BlockStatus::kBadMemory;
  if (scenario_.before_block != nullptr) scenario_.before_block(vm_);
  control_ = command == BlockCommand::kSampleControl ||
             command == BlockCommand::kBatchControl;
  Store32(memory + WS_MAILBOX_COMMAND, static_cast<std::uint32_t>(command));
  Store32(memory + WS_MAILBOX_COUNT, count);
  ClearSamples(memory + WS_SAMPLES);
  log_.Clear();
  measured_ = 0;
  status_ = BlockStatus::kUnexpectedExit;
  last_exit_ = loop_(vcpu_, log_, context_, *this);
  return status_;
}

LoopAction BlockDriver::HandleExit(Exit& exit) {
  if (IsDone(exit)) {
    log_.SetRole(ExitRole::kAuxiliary);
    status_ = BlockStatus::kDone;
    return LoopAction::kReturn;
  }
  if (IsFault(exit)) {
    status_ = BlockStatus::kFault;
    return LoopAction::kReturn;
  }
  if (exit.reason == ExitReason::kInterrupted) {
    log_.SetRole(ExitRole::kAuxiliary);
    if (!stop_.load(std::memory_order_acquire)) return LoopAction::kResume;
    status_ = BlockStatus::kStopped;
    return LoopAction::kReturn;
  }
  ExitRole role = ExitRole::kUnexpected;
  if (scenario_.on_exit != nullptr) {
    ExitScene scene = {.vm = vm_,
                       .vcpu = vcpu_,
                       .context = context_,
                       .memory = vm_.memory().host,
                       .control = control_};
    role = scenario_.on_exit(scene, exit);
  }
  if (role == ExitRole::kMeasured && step_ != nullptr && !step_->Take()) {
    role = ExitRole::kUnexpected;
  }
  log_.SetRole(role);
  if (role == ExitRole::kUnexpected) return LoopAction::kReturn;
  if (role == ExitRole::kMeasured) ++measured_;
  return LoopAction::kResume;
}

bool BlockDriver::Samples(Sample* samples, std::uint32_t count) const {
  const std::byte* page = vm_.memory().At(WS_SAMPLES, 4096);
  if (page == nullptr) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::byte* at = page + std::size_t{i} * WS_SAMPLE_BYTES;
    samples[i] = {.g0 = Load64(at),
                  .h1 = 0,
                  .h2 = 0,
                  .g3 = Load64(at + sizeof(std::int64_t)),
                  .cpu = log_.stamp(0).cpu,
                  .exits = 0,
                  .interrupted = false};
  }
  if (measured_ == 0) return true;
  if (log_.overflow() || count == 0 || measured_ % count != 0) return false;
  // The k-th measured exit belongs to iteration k / exits-per-iteration; the
  // entry that follows it is the next switch's.
  const std::uint32_t each = measured_ / count;
  std::uint32_t seen = 0;
  for (std::uint32_t i = 0; i < log_.count(); ++i) {
    const SwitchStamp& at = log_.stamp(i);
    if (at.interrupted && seen < measured_) {
      samples[seen / each].interrupted = true;
    }
    if (at.role != ExitRole::kMeasured) continue;
    Sample& sample = samples[seen / each];
    if (sample.exits == 0) {
      sample.h1 = at.exit;
      sample.cpu = at.cpu;
    }
    ++sample.exits;
    ++seen;
    if (i + 1 < log_.count()) sample.h2 = log_.stamp(i + 1).entry;
  }
  return true;
}

std::int64_t BlockDriver::BatchTicks() const {
  const std::byte* mailbox = vm_.memory().At(WS_MAILBOX, 4096);
  if (mailbox == nullptr) return 0;
  return Load64(mailbox + (WS_MAILBOX_END - WS_MAILBOX)) -
         Load64(mailbox + (WS_MAILBOX_START - WS_MAILBOX));
}

}  // namespace worldswitch
