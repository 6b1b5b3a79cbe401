#include "bench/kicker.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include <utility>

#include "bench/tsc.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kDelayTicks = 150000;

// On a host with one CPU the guest runs while this thread sleeps, and the timer
// that wakes it switches the guest out.
constexpr timespec kNap = {0, 50'000};

}  // namespace

bool LeaveCallersCpu() {
  cpu_set_t own;
  CPU_ZERO(&own);
  sched_getaffinity(0, sizeof(own), &own);
  cpu_set_t others;
  CPU_ZERO(&others);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &own)) CPU_SET(cpu, &others);
  }
  return sched_setaffinity(0, sizeof(others), &others) == 0;
}

Kicker::Kicker(KickHandle handle)
    : handle_(std::move(handle)), thread_([this] { Work(); }) {}

Kicker::~Kicker() {
  state_.store(kFinished, std::memory_order_release);
  thread_.join();
}

std::int64_t Kicker::WaitForTime() const {
  while (state_.load(std::memory_order_acquire) != kIdle) sched_yield();
  return time_.load(std::memory_order_relaxed);
}

void Kicker::Work() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  const bool alone = LeaveCallersCpu();
  for (;;) {
    const int state = state_.load(std::memory_order_acquire);
    if (state == kFinished) return;
    if (state != kArmed) {
      if (alone) {
        sched_yield();
      } else {
        nanosleep(&kNap, nullptr);
      }
      continue;
    }
    // Having shared the CPU until now, the guest is inside already.
    const std::uint64_t start = ReadTsc();
    while (alone && ReadTsc() - start < kDelayTicks) {
    }
    const std::uint64_t now = ReadTsc();
    time_.store(static_cast<std::int64_t>(now), std::memory_order_relaxed);
    int armed = kArmed;
    state_.compare_exchange_strong(armed, kKicking);
    handle_.Kick();
    int kicking = kKicking;
    state_.compare_exchange_strong(kicking, kIdle);
  }
}

}  // namespace worldswitch
