// A million kicks from two threads at random moments on the real /dev/kvm, and
// none of them lost.
//
// What "lost" would be, by the clauses of core/vcpu_ops.h: both kickers number
// their kicks, and say when one begins and when it is done.
//   KICK.1: a kick that began after the last return, and was done before the
//           next entry, makes that run return kInterrupted, with no instruction
//           executed: the guest's own counter stands still.
//   KICK.2: a kick at any time is followed by a return, without the help of a
//           later kick: at random a kicker stops and waits for the answer to
//           its last kick, the other one sooner or later does so too, and a
//           kick that was lost leaves both waiting.
//   KICK.3: once all are answered, the guest runs on undisturbed until the
//   next.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <iterator>
#include <mutex>
#include <random>
#include <thread>

#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

WS_GUEST(Count, "1: incq 0x30000; jmp 1b")
constexpr std::uint64_t kCounter = 0x30000;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t kKicksEach = 25'000;
#else
constexpr std::uint64_t kKicksEach = 500'000;
#endif
constexpr int kKickers = 2;
constexpr std::chrono::seconds kPatience(30);  // for one answer

// Mostly for less than an entry takes, now and then for longer than a run.
void SpinAtRandom(std::minstd_rand& random) {
  constexpr std::uint32_t kMost[] = {1, 16, 64, 64, 256, 256, 512, 4096};
  const std::uint32_t most = kMost[random() / 8 % std::size(kMost)];
  const std::uint32_t turns = static_cast<std::uint32_t>(random()) % most;
  for (std::uint32_t i = 0; i < turns; ++i) __builtin_ia32_pause();
}

// On a line of its own each, so that neither kicker waits for the other.
struct alignas(64) Kicks {
  std::atomic<std::uint64_t> begun = 0;
  std::atomic<std::uint64_t> done = 0;
  // Those that had begun at the last return.
  std::atomic<std::uint64_t> answered = 0;
};

class KvmKickStormTest : public KvmTest {
 protected:
  std::uint64_t GuestCount() {
    return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(
                               vm_->memory().At(kCounter, sizeof(kCounter))))
        .load();
  }

  // One kicker's part of the storm.
  void KickAll(Kicks& kicks, std::uint32_t seed) {
    constexpr std::uint32_t kOneInSoMany = 16;  // waits for its answer
    std::minstd_rand random(seed);
    const KickHandle handle = vcpu().kick_handle();
    for (std::uint64_t kick = 1; kick <= kKicksEach && !over_; ++kick) {
      SpinAtRandom(random);
      kicks.begun.store(kick);
      handle.Kick();
      kicks.done.store(kick);
      if (random() % kOneInSoMany == 0 || kick == kKicksEach) {
        AwaitAnswer(kicks, kick);
      }
    }
  }

  // Asleep, so that the vCPU has the processor to itself where they are few.
  void AwaitAnswer(const Kicks& kicks, std::uint64_t kick) {
    std::unique_lock<std::mutex> lock(mutex_);
    const bool answered = returned_.wait_for(
        lock, kPatience,
        [this, &kicks, kick] { return kicks.answered >= kick || over_; });
    if (!answered) {
      ADD_FAILURE() << "kick " << kick << " was not answered";
      over_ = true;
    }
  }

  // The vCPU's part, until over_.
  void RunThrough() {
    std::minstd_rand random(kKickers);
    while (!over_) {
      std::uint64_t begun[kKickers];
      for (int i = 0; i < kKickers; ++i) {
        begun[i] = kicks_[i].begun;
        kicks_[i].answered = begun[i];
      }
      {
        // Between a kicker's look at its answer and its going to sleep.
        const std::lock_guard<std::mutex> lock(mutex_);
      }
      returned_.notify_all();
      // Now and then there is time for a kick between two runs.
      if (random() % 4 == 0) SpinAtRandom(random);
      bool pending = false;
      for (int i = 0; i < kKickers; ++i) {
        pending = pending || kicks_[i].done > begun[i];
      }
      const std::uint64_t before = GuestCount();
      const Exit exit = vcpu().run();
      ++returns_;
      if (exit.reason != ExitReason::kInterrupted) {
        ADD_FAILURE() << ExitReasonName(exit.reason);
        over_ = true;
      }
      if (pending) {
        ++pending_runs_;
        if (GuestCount() != before) {
          ADD_FAILURE() << "a kick before the entry did not stop it";
          over_ = true;
        }
      }
    }
  }

  Kicks kicks_[kKickers];
  std::mutex mutex_;
  std::condition_variable returned_;
  std::atomic<bool> over_ = false;
  std::uint64_t returns_ = 0;       // the runner's, until it is joined
  std::uint64_t pending_runs_ = 0;  // those that KICK.1 is about
};

TEST_F(KvmKickStormTest, AMillionKicksAtRandomMomentsAndNoneIsLost) {
  MakeVm();
  if (HasFatalFailure()) return;
  Start(CountCode());
  std::thread runner([this] { RunThrough(); });
  std::thread kickers[kKickers];
  for (int i = 0; i < kKickers; ++i) {
    kickers[i] = std::thread([this, i] {
      constexpr std::uint32_t kSeed = 20230;
      KickAll(kicks_[i], kSeed + static_cast<std::uint32_t>(i));
    });
  }
  for (std::thread& kicker : kickers) kicker.join();
  const bool finished = !over_;
  for (const Kicks& kicks : kicks_) {
    EXPECT_EQ(kicks.answered, kKicksEach);
    EXPECT_EQ(kicks.done, kKicksEach);
  }
  if (finished) {
    // Nobody kicks any more, so the guest is in, and gets on.
    const std::uint64_t before = GuestCount();
    const auto until = std::chrono::steady_clock::now() + kPatience;
    while (GuestCount() < before + 1000 &&
           std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();
    }
    EXPECT_GE(GuestCount(), before + 1000) << "the guest runs no more";
  }
  over_ = true;
  vcpu().kick_handle().Kick();
  runner.join();
  EXPECT_GT(pending_runs_, 0u) << "no kick came between two runs";
  RecordProperty("kicks", std::to_string(kKickers * kKicksEach));
  RecordProperty("returns", std::to_string(returns_));
  RecordProperty("kicks_before_entry", std::to_string(pending_runs_));
}

}  // namespace
}  // namespace worldswitch
