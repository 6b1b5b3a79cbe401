// A peer thread that kicks a vCPU once each time it is armed, and says when.

#ifndef WORLDSWITCH_BENCH_KICKER_H_
#define WORLDSWITCH_BENCH_KICKER_H_

#include <atomic>
#include <cstdint>
#include <thread>

#include "core/kick.h"

namespace worldswitch {

// Lets the calling thread run anywhere but on the CPUs it may run on now: a
// peer of a pinned thread. False, and nothing done, where there are no others.
bool LeaveCallersCpu();

class Kicker {
 public:
  explicit Kicker(KickHandle handle);
  ~Kicker();
  Kicker(const Kicker&) = delete;
  Kicker& operator=(const Kicker&) = delete;

  // One kick, some 50 us from now, when the guest is well inside. On a host
  // with a single CPU the caller must be in the guest by then.
  void Arm() { state_.store(kArmed, std::memory_order_release); }
  // Whether the kick has been begun.
  bool kicked() const {
    return state_.load(std::memory_order_acquire) != kArmed;
  }
  // The TSC just before Kick() was called. Waits until the kick is over.
  std::int64_t WaitForTime() const;

 private:
  enum State : int { kIdle, kArmed, kKicking, kFinished };
  void Work();

  KickHandle handle_;
  std::atomic<int> state_ = kIdle;
  std::atomic<std::int64_t> time_ = 0;
  std::thread thread_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_KICKER_H_
