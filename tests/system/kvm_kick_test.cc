// Kicks on the real /dev/kvm: before, during, after, and in a storm.

#include <atomic>
#include <set>

#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

WS_GUEST(Spin, "1: incq 0x30000; pause; jmp 1b")
WS_GUEST(CountedOut,
         "mov $0x80, %edx; xor %eax, %eax\n1: inc %eax; out %eax, %dx; jmp 1b")
WS_GUEST(PingPong,  // waits for its turn in 0x30000; ebx: which turn is its
         "mov $0x30000, %edi; mov $0x80, %edx; mov $200, %ecx\n"
         "1: cmp %ebx, (%rdi); jne 1b\n"
         "mov %ecx, %eax; out %eax, %dx\n"
         "xorl $1, (%rdi); dec %ecx; jnz 1b; hlt")

class KvmKickTest : public KvmTest {
 protected:
  void Begin(const std::vector<unsigned char>& code) {
    MakeVm();
    if (!HasFatalFailure()) Start(code);
  }
};

TEST_F(KvmKickTest, AKickBeforeRunComesBackBeforeTheGuestDoesAnything) {
  Begin(CountedOutCode());
  const Watchdog watchdog(vcpu().kick_handle());
  for (int i = 0; i < 3; ++i) vcpu().kick_handle().Kick();
  Exit exit = vcpu().run();
  ASSERT_EQ(exit.reason, ExitReason::kInterrupted);
  EXPECT_EQ(exit.error.error_number, EINTR);
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rip, kCodeGpa);
  exit = vcpu().run();
  EXPECT_EQ(exit.reason, ExitReason::kIo) << "three kicks are one";
}

TEST_F(KvmKickTest, AKickBetweenRunsLosesNoExit) {
  Begin(CountedOutCode());
  const Watchdog watchdog(vcpu().kick_handle());
  for (std::uint32_t i = 1; i < 50; ++i) {
    Exit exit = vcpu().run();
    ASSERT_EQ(exit.reason, ExitReason::kIo);
    EXPECT_EQ(*static_cast<std::uint32_t*>(exit.io.data), i);
    vcpu().kick_handle().Kick();
    if (i % 2 == 0) {  // completing the exit does not use the kick up
      ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
      EXPECT_EQ(general().rax, i);
    }
    ASSERT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
  }
}

TEST_F(KvmKickTest, AKickFromAnotherThreadEndsASpin) {
  Begin(SpinCode());
  const Watchdog watchdog(vcpu().kick_handle());
  for (int i = 0; i < 5; ++i) {
    std::thread kicker([handle = vcpu().kick_handle()] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      handle.Kick();
    });
    EXPECT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
    kicker.join();
  }
  EXPECT_GT(Read<std::uint64_t>(0x30000), 0u);
}

TEST_F(KvmKickTest, AHandleOutlivesItsVcpu) {
  Begin(SpinCode());
  const KickHandle handle = vcpu().kick_handle();
  handle.Kick();
  EXPECT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
  vm_.reset();
  for (int i = 0; i < 100; ++i) handle.Kick();
}

TEST_F(KvmKickTest, TheVcpuMayMoveBetweenThreads) {
  Begin(SpinCode());
  const Watchdog watchdog(vcpu().kick_handle());
  for (int i = 0; i < 4; ++i) {
    std::atomic<bool> running = false;
    std::thread runner([&] {
      running = true;
      EXPECT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
    });
    while (!running) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    vcpu().kick_handle().Kick();
    runner.join();
  }
}

TEST_F(KvmKickTest, ASignalThatIsBlockedElsewhereStillKicks) {
  Begin(SpinCode());
  const Watchdog watchdog(vcpu().kick_handle());
  std::thread runner([&] {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    EXPECT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  vcpu().kick_handle().Kick();
  runner.join();
}

// Every kick is made only once the one before was answered, so each must be.
TEST_F(KvmKickTest, NoKickOfAStormIsLost) {
  constexpr std::uint32_t kKicks = 20000;
  Begin(SpinCode());
  std::atomic<std::uint32_t> answered = 0;
  std::atomic<bool> over = false;
  std::atomic<std::uint32_t> made = 0;
  std::thread runner([&] {
    while (!over) {
      const Exit exit = vcpu().run();
      if (exit.reason == ExitReason::kInterrupted) {
        answered = made.load();
      } else {
        ADD_FAILURE() << ExitReasonName(exit.reason);
        over = true;
      }
    }
  });
  {
    const Watchdog watchdog(vcpu().kick_handle(), std::chrono::seconds(120));
    std::mutex one_at_a_time;
    const auto kick = [&] {
      const KickHandle handle = vcpu().kick_handle();
      for (std::uint32_t i = 0; i < kKicks / 2 && !over; ++i) {
        const std::lock_guard<std::mutex> lock(one_at_a_time);
        const std::uint32_t mine = ++made;
        handle.Kick();
        while (answered < mine && !over) std::this_thread::yield();
      }
    };
    std::thread first(kick);
    std::thread second(kick);
    first.join();
    second.join();
  }
  over = true;
  vcpu().kick_handle().Kick();
  runner.join();
  EXPECT_EQ(made, kKicks);
}

TEST_F(KvmKickTest, AStormOverIoLosesNoExit) {
  Begin(CountedOutCode());
  std::atomic<bool> over = false;
  constexpr int kKickers = 2;
  std::vector<std::thread> kickers;
  kickers.reserve(kKickers);
  for (int i = 0; i < kKickers; ++i) {
    kickers.emplace_back([&over, handle = vcpu().kick_handle()] {
      while (!over) {
        handle.Kick();
        std::this_thread::yield();
      }
    });
  }
  const Watchdog watchdog(vcpu().kick_handle(), std::chrono::seconds(120));
  std::uint32_t next = 1;
  int interrupted = 0;
  while (next <= 20000 && !HasFailure()) {
    const Exit exit = vcpu().run();
    if (exit.reason == ExitReason::kInterrupted) {
      ++interrupted;
      continue;
    }
    EXPECT_EQ(exit.reason, ExitReason::kIo);
    EXPECT_EQ(*static_cast<std::uint32_t*>(exit.io.data), next);
    ++next;
  }
  over = true;
  for (std::thread& kicker : kickers) kicker.join();
  EXPECT_GT(interrupted, 0);
}

TEST_F(KvmKickTest, TwoVcpusRunSideBySideAndShareMemory) {
  MakeVm("", 2);
  if (HasFatalFailure()) return;
  std::vector<std::thread> runners;
  std::vector<std::uint32_t> told[2];
  const Watchdog first(vcpu(0).kick_handle());
  const Watchdog second(vcpu(1).kick_handle());
  for (std::uint32_t index = 0; index < 2; ++index) {
    Start(PingPongCode(), index);
    general(index).rbx = index;
    vcpu(index).registers().dirty = kGeneralRegisters;
  }
  for (std::uint32_t index = 0; index < 2; ++index) {
    runners.emplace_back([this, index, &told] {
      for (;;) {
        const Exit exit = vcpu(index).run();
        if (exit.reason != ExitReason::kIo) {
          EXPECT_EQ(exit.reason, ExitReason::kHlt);
          return;
        }
        told[index].push_back(*static_cast<std::uint32_t*>(exit.io.data));
      }
    });
  }
  for (std::thread& runner : runners) runner.join();
  EXPECT_EQ(told[0].size(), 200u);
  EXPECT_EQ(told[1].size(), 200u);
}

}  // namespace
}  // namespace worldswitch
