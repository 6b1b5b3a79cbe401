#include "bench/watchdog.h"

#include <pthread.h>
#include <signal.h>

#include <utility>

namespace worldswitch {
namespace {

constexpr std::chrono::milliseconds kTick(100);

// The user's signals belong to the thread that runs the guest.
void BlockUserSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

Watchdog::Watchdog(std::chrono::milliseconds patience)
    : patience_(patience), thread_([this] { Guard(); }) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    finished_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void Watchdog::Watch(KickHandle handle) {
  const std::lock_guard<std::mutex> lock(mutex_);
  handle_ = std::move(handle);
  watching_ = true;
  barked_ = false;
  if (!stopped()) stop_.store(false, std::memory_order_release);
  Progress();
}

bool Watchdog::Unwatch() {
  const std::lock_guard<std::mutex> lock(mutex_);
  watching_ = false;
  handle_ = KickHandle();
  return barked_;
}

void Watchdog::Guard() {
  BlockUserSignals();
  std::unique_lock<std::mutex> lock(mutex_);
  std::uint64_t last = progress_.load(std::memory_order_relaxed);
  std::chrono::milliseconds quiet(0);
  while (!finished_) {
    wake_.wait_for(lock, kTick);
    const std::uint64_t now = progress_.load(std::memory_order_relaxed);
    if (!watching_ || now != last) {
      last = now;
      quiet = std::chrono::milliseconds(0);
      if (!(watching_ && stopped())) continue;
    }
    quiet += kTick;
    if (quiet < patience_ && !stopped()) continue;
    barked_ = barked_ || quiet >= patience_;
    stop_.store(true, std::memory_order_release);
    handle_.Kick();
  }
}

}  // namespace worldswitch
