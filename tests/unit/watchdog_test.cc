// The watchdog barks at a vCPU without progress, and only then.

#include "bench/watchdog.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "gtest/gtest.h"

namespace worldswitch {
namespace {

class CountingTarget final : public KickTarget {
 public:
  void Ref() override { ++references; }
  void Unref() override { --references; }
  void Kick() override { ++kicks; }

  std::atomic<int> references = 1;
  std::atomic<int> kicks = 0;
};

void WaitUntil(const std::atomic<bool>& flag) {
  while (!flag.load()) std::this_thread::yield();
}

TEST(WatchdogTest, StopsAndKicksWhatMakesNoProgress) {
  CountingTarget target;
  {
    Watchdog watchdog(std::chrono::milliseconds(100));
    watchdog.Watch(KickHandle(&target));
    WaitUntil(watchdog.stop());
    while (target.kicks == 0) std::this_thread::yield();
    EXPECT_TRUE(watchdog.Unwatch());
    EXPECT_FALSE(watchdog.stopped());
  }
  EXPECT_EQ(target.references, 0);
}

TEST(WatchdogTest, TheNextWatchStartsAfresh) {
  CountingTarget target;
  Watchdog watchdog(std::chrono::milliseconds(100));
  target.Ref();
  watchdog.Watch(KickHandle(&target));
  WaitUntil(watchdog.stop());
  watchdog.Unwatch();
  watchdog.Watch(KickHandle(&target));
  EXPECT_FALSE(watchdog.stop());
  EXPECT_FALSE(watchdog.Unwatch());
}

TEST(WatchdogTest, StopIsForEverAndKicksTheWatched) {
  CountingTarget target;
  Watchdog watchdog(std::chrono::hours(1));
  watchdog.Stop();
  watchdog.Watch(KickHandle(&target));
  EXPECT_TRUE(watchdog.stop());
  while (target.kicks == 0) std::this_thread::yield();
  EXPECT_FALSE(watchdog.Unwatch()) << "stopped by the user, not for a hang";
}

}  // namespace
}  // namespace worldswitch
