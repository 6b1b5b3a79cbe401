// Ends runs that do not end: the host's timer kicks the vCPU, again and again,
// until it is back. One CPU; freestanding.

#ifndef WORLDSWITCH_NATIVE_RUN_GUARD_H_
#define WORLDSWITCH_NATIVE_RUN_GUARD_H_

#include <atomic>
#include <cstdint>

#include "core/kick.h"
#include "core/vm_ops.h"

namespace worldswitch::native {

class RunGuard {
 public:
  // Counts of the timer, and ticks of the TSC: no run takes as many that means
  // to come back. Where instructions are counted, that is more than any guest
  // of ours has between two exits; elsewhere a few milliseconds.
  static constexpr std::uint32_t kCountedPatience = 8'000'000;
  static constexpr std::uint32_t kPatience = 20'000'000;

  // Takes the timer. After SetShutdownPort. Without one (see has_timer) only
  // the CPU's own limit is left, where a VM offers it.
  void SetUp();
  bool has_timer() const { return has_timer_; }

  // A new VM: gives every run the CPU's own limit too, where there is one.
  // 0: as many as no run takes.
  void Limit(VmOps& vm, std::uint64_t ticks = 0) const;

  // Around one run, or many. handle: the vCPU's; outlives End. patience: counts
  // and ticks; 0: as many as no run takes.
  void Begin(const KickHandle& handle, std::uint32_t patience = 0);
  // Between the two: the timer's interrupt came.
  bool fired() const { return fired_.load(std::memory_order_relaxed); }
  // True: it took longer than it may.
  bool End();

 private:
  static void OnTimer(void* self);

  bool has_timer_ = false;
  std::atomic<bool> fired_ = false;
  std::atomic<const KickHandle*> handle_ = nullptr;
  std::uint64_t begin_ = 0;
  std::uint32_t most_ = kPatience;
  std::uint32_t patience_ = 0;
};

// The only one.
extern RunGuard run_guard;

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_RUN_GUARD_H_
