// Runs a scenario's guest in blocks and stamps both sides of every switch.
//
// One block is one command in the guest's mailbox: some tens of iterations,
// ended by an OUT. Within a block nothing is allocated, locked, printed or
// looked up. Everything slow (counters, noise, statistics) happens between
// blocks, in the caller.
//
// Freestanding: the boot image drives the same scenarios with it.

#ifndef WORLDSWITCH_BENCH_BLOCK_DRIVER_H_
#define WORLDSWITCH_BENCH_BLOCK_DRIVER_H_

#include <atomic>
#include <cstdint>

#include "bench/sample.h"
#include "bench/scenario.h"
#include "bench/tsc.h"
#include "core/vcpu_loop.h"

namespace worldswitch {

enum class BlockCommand : std::uint8_t {
  kSample = WS_COMMAND_SAMPLE,
  kSampleControl = WS_COMMAND_SAMPLE_CONTROL,
  kBatch = WS_COMMAND_BATCH,
  kBatchControl = WS_COMMAND_BATCH_CONTROL,
};

enum class BlockStatus : std::uint8_t {
  kDone,
  kFault,           // the guest took an exception; see ReadGuestFault
  kUnexpectedExit,  // see last_exit()
  kStopped,         // the stop flag was set: a hang, or the user
  kBadMemory,       // the VM is too small
};

// One switch as the host saw it.
struct SwitchStamp {
  std::int64_t entry;  // before run
  std::int64_t exit;   // after run
  std::uint32_t cpu;
  ExitRole role;
  bool interrupted;
};

// The switches of one block, in order.
class SwitchLog {
 public:
  // A block with more exits than this is measured no further, see overflow().
  static constexpr std::uint32_t kMaxSwitches = 8192;

  void Add(const SwitchStamp& stamp) {
    if (count_ < kMaxSwitches) stamps_[count_] = stamp;
    ++count_;
  }
  void Clear() { count_ = 0; }
  void SetRole(ExitRole role) {
    if (count_ <= kMaxSwitches) stamps_[count_ - 1].role = role;
  }
  std::uint32_t count() const {
    return count_ < kMaxSwitches ? count_ : kMaxSwitches;
  }
  bool overflow() const { return count_ > kMaxSwitches; }
  const SwitchStamp& stamp(std::uint32_t index) const { return stamps_[index]; }

 private:
  std::uint32_t count_ = 0;
  SwitchStamp stamps_[kMaxSwitches];
};

// A vCPU that stamps around `run`; everything else goes straight through. On a
// final type its calls are direct.
template <typename Ops>
class StampingVcpu final {
 public:
  StampingVcpu(Ops& inner, SwitchLog& log) : inner_(inner), log_(log) {}

  Exit run() {
    const auto entry = static_cast<std::int64_t>(ReadTsc());
    const Exit exit = inner_.run();
    std::uint32_t cpu = 0;
    const auto now = static_cast<std::int64_t>(ReadTscEnd(&cpu));
    log_.Add({.entry = entry,
              .exit = now,
              .cpu = cpu,
              .role = ExitRole::kUnexpected,
              .interrupted = exit.reason == ExitReason::kInterrupted});
    return exit;
  }
  Disposition handle_exit(const Exit& exit) { return inner_.handle_exit(exit); }
  InjectResult inject_irq(std::uint8_t vector) {
    return inner_.inject_irq(vector);
  }
  InjectResult inject_nmi() { return inner_.inject_nmi(); }
  InjectResult inject_exception(const Event& event) {
    return inner_.inject_exception(event);
  }
  void request_irq_window(bool wanted) { inner_.request_irq_window(wanted); }
  void request_nmi_window(bool wanted) { inner_.request_nmi_window(wanted); }

 private:
  Ops& inner_;
  SwitchLog& log_;
};

class BlockDriver;

// How a driver runs its vCPU: vcpu_enter_guest on a StampingVcpu. One is there
// (through VcpuOps); who knows the vCPU's final type has LoopOn<Type>.
using BlockLoop = Exit (*)(VcpuOps& vcpu, SwitchLog& log, VcpuContext& context,
                           BlockDriver& driver);

// What the vCPU's thread does at each measured exit before it enters again, as
// part of what is measured. Scenario::host_step says what.
class ExitStep {
 public:
  // False: it could not be done; the block ends with kUnexpectedExit.
  virtual bool Take() = 0;

 protected:
  ~ExitStep() = default;
};

class BlockDriver final : public ExitHandler {
 public:
  // stop: looked at whenever run is interrupted; true ends the block with
  // kStopped. All three must outlive the driver.
  BlockDriver(VmOps& vm, const Scenario& scenario,
              const std::atomic<bool>& stop);

  void set_loop(BlockLoop loop) { loop_ = loop; }
  // step: must outlive the driver; null: none.
  void set_step(ExitStep* step) { step_ = step; }

  // Puts the guest into the VM, ready for the first block.
  Result Load(GuestMode mode);
  // count: 1 to max_block for samples; batches may be longer, unless the
  // scenario has something to do before each block.
  BlockStatus Run(BlockCommand command, std::uint32_t count);

  // After a kSample or kSampleControl block: its samples, count of them. False:
  // the exits cannot be told apart by iteration (see RUN.1), and only g0 and g3
  // are good.
  bool Samples(Sample* samples, std::uint32_t count) const;
  // After a batch: its TSC ticks.
  std::int64_t BatchTicks() const;

  std::uint32_t measured_exits() const { return measured_; }
  std::uint32_t switches() const { return log_.count(); }
  const Exit& last_exit() const { return last_exit_; }
  GuestMode mode() const { return mode_; }

  LoopAction HandleExit(Exit& exit) override;

 private:
  VmOps& vm_;
  const Scenario& scenario_;
  const std::atomic<bool>& stop_;
  VcpuOps& vcpu_;
  BlockLoop loop_;
  SwitchLog log_;
  VcpuContext context_;
  ExitStep* step_ = nullptr;
  GuestMode mode_ = GuestMode::kReal;
  bool control_ = false;
  std::uint32_t measured_ = 0;
  BlockStatus status_ = BlockStatus::kDone;
  Exit last_exit_;
};

// vcpu: a Type, which is final.
template <typename Type>
Exit LoopOn(VcpuOps& vcpu, SwitchLog& log, VcpuContext& context,
            BlockDriver& driver) {
  StampingVcpu<Type> stamping(static_cast<Type&>(vcpu), log);
  return vcpu_enter_guest(stamping, context, driver);
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_BLOCK_DRIVER_H_
