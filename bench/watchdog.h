// Ends guests that hang: when a watched vCPU makes no progress for a while, it
// sets the stop flag and kicks until somebody says that it worked.
//
// Costs the watched thread one relaxed store a block; the watching is done by a
// thread of its own that wakes ten times a second.

#ifndef WORLDSWITCH_BENCH_WATCHDOG_H_
#define WORLDSWITCH_BENCH_WATCHDOG_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "core/kick.h"

namespace worldswitch {

class Watchdog {
 public:
  // patience: how long one block may take.
  explicit Watchdog(std::chrono::milliseconds patience);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // The flag to hand to a BlockDriver. Also set by Stop().
  const std::atomic<bool>& stop() const { return stop_; }

  // The watched thread. From Watch to Unwatch a Progress() is due every
  // `patience`. Clears the flag, unless Stop() was called.
  void Watch(KickHandle handle);
  void Progress() { progress_.fetch_add(1, std::memory_order_relaxed); }
  // True: it had to bark since Watch.
  bool Unwatch();

  // For ever: every block ends. Safe in a signal handler.
  void Stop() {
    stopped_.store(true, std::memory_order_release);
    stop_.store(true, std::memory_order_release);
  }
  bool stopped() const { return stopped_.load(std::memory_order_acquire); }

 private:
  void Guard();

  const std::chrono::milliseconds patience_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> stopped_ = false;
  std::atomic<std::uint64_t> progress_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  bool watching_ = false;
  bool barked_ = false;
  bool finished_ = false;
  KickHandle handle_;
  std::thread thread_;
};

// Watches for the life of the object.
class WatchScope {
 public:
  WatchScope(Watchdog& watchdog, KickHandle handle) : watchdog_(watchdog) {
    watchdog_.Watch(std::move(handle));
  }
  ~WatchScope() { watchdog_.Unwatch(); }
  WatchScope(const WatchScope&) = delete;
  WatchScope& operator=(const WatchScope&) = delete;

 private:
  Watchdog& watchdog_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_WATCHDOG_H_
