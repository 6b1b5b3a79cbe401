// The loop against the scripted vCPU: what goes in, in which order, and what
// comes out. Every test runs twice: with direct calls on the final type, and
// through VcpuOps.

#include "core/vcpu_loop.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "backends/scripted/scripted_vcpu.h"
#include "core/host/forwarding.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace {

std::atomic<std::uint64_t> g_allocations = 0;

void* CountedAllocation(std::size_t size) {
  g_allocations.fetch_add(1, std::memory_order_relaxed);
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// g++ looks into one of a pair and not into the other, and takes them for
// mismatched.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) { return CountedAllocation(size); }
void* operator new[](std::size_t size) { return CountedAllocation(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace worldswitch {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Does what the test says with every exit, and lists the reasons.
class Handler final : public ExitHandler {
 public:
  explicit Handler(std::function<LoopAction(Exit&)> action = nullptr)
      : action_(std::move(action)) {
    seen.reserve(64);
  }
  LoopAction HandleExit(Exit& exit) override {
    if (seen.size() < seen.capacity()) seen.push_back(exit.reason);
    return action_ ? action_(exit) : LoopAction::kResume;
  }
  std::vector<ExitReason> seen;

 private:
  std::function<LoopAction(Exit&)> action_;
};

// Ends the loop at the first HLT.
LoopAction ReturnOnHlt(Exit& exit) {
  return exit.reason == ExitReason::kHlt ? LoopAction::kReturn
                                         : LoopAction::kResume;
}

enum class Calls { kDirect, kVirtual };

class VcpuLoopTest : public ::testing::TestWithParam<Calls> {
 protected:
  template <typename Vcpu>
  Exit Enter(Vcpu& vcpu, Handler& handler) {
    if (GetParam() == Calls::kDirect) {
      return vcpu_enter_guest(vcpu, context_, handler);
    }
    VcpuOps& ops = vcpu;
    ExitHandler& base = handler;
    return vcpu_enter_guest(ops, context_, base);
  }

  VcpuContext context_;
};

INSTANTIATE_TEST_SUITE_P(BothWays, VcpuLoopTest,
                         ::testing::Values(Calls::kDirect, Calls::kVirtual),
                         [](const auto& info) {
                           return info.param == Calls::kDirect ? "Direct"
                                                               : "Virtual";
                         });

// Entry and vector of what was delivered.
std::vector<std::pair<std::uint64_t, int>> Delivered(const ScriptedVcpu& vcpu) {
  std::vector<std::pair<std::uint64_t, int>> delivered;
  for (const ScriptedVcpu::Delivery& each : vcpu.deliveries()) {
    delivered.emplace_back(each.entry, each.event.vector);
  }
  return delivered;
}
using Entries = std::vector<std::pair<std::uint64_t, int>>;

const Event kPageFaultEvent = {.kind = EventKind::kException,
                               .vector = 14,
                               .has_error_code = true,
                               .error_code = 2};

// --- What comes out.

TEST_P(VcpuLoopTest, HandsOverExitsAndCountsThemByReason) {
  ScriptedVcpu vcpu(Script()
                        .Out(0x3f8, 1, {'x'})
                        .Times(3)
                        .MmioRead(0xfee0'0000, 4)
                        .Unknown(0x1234)
                        .Hlt());
  Handler handler(ReturnOnHlt);
  const Exit exit = Enter(vcpu, handler);
  EXPECT_EQ(exit.reason, ExitReason::kHlt);
  EXPECT_THAT(
      handler.seen,
      ElementsAre(ExitReason::kIo, ExitReason::kIo, ExitReason::kIo,
                  ExitReason::kMmio, ExitReason::kUnknown, ExitReason::kHlt));
  EXPECT_EQ(context_.exits(ExitReason::kIo), 3u);
  EXPECT_EQ(context_.exits(ExitReason::kMmio), 1u);
  EXPECT_EQ(context_.exits(ExitReason::kUnknown), 1u);
  EXPECT_EQ(context_.exits(ExitReason::kHlt), 1u);
  EXPECT_EQ(context_.exits(ExitReason::kError), 0u);
  EXPECT_EQ(vcpu.entries(), 6u);
}

// Has something left to do with each OUT to kPort, and keeps the first.
class KeepingVcpu final : public ForwardingVcpu {
 public:
  static constexpr std::uint16_t kPort = 0x40;
  using ForwardingVcpu::ForwardingVcpu;

  Exit run() override {
    Exit exit = ForwardingVcpu::run();
    exit.for_backend = exit.reason == ExitReason::kIo && exit.io.port == kPort;
    return exit;
  }
  Disposition handle_exit(const Exit& exit) override {
    asked.push_back(exit.io.port);
    return asked.size() == 1 ? Disposition::kResume : Disposition::kToCaller;
  }

  std::vector<int> asked;
};

TEST_P(VcpuLoopTest, AsksTheBackendAboutItsExitsAndNoOthers) {
  ScriptedVcpu inner(Script()
                         .Out(0x10, 1, {'a'})
                         .Out(KeepingVcpu::kPort, 1, {'b'})
                         .MmioRead(0xfee0'0000, 4)
                         .Out(KeepingVcpu::kPort, 1, {'c'})
                         .Hlt());
  KeepingVcpu vcpu(inner);
  std::vector<int> ports;
  Handler handler([&ports](Exit& exit) {
    if (exit.reason == ExitReason::kIo) ports.push_back(exit.io.port);
    return ReturnOnHlt(exit);
  });
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kHlt);
  EXPECT_THAT(vcpu.asked, ElementsAre(KeepingVcpu::kPort, KeepingVcpu::kPort));
  EXPECT_THAT(ports, ElementsAre(0x10, KeepingVcpu::kPort));
  EXPECT_THAT(handler.seen, ElementsAre(ExitReason::kIo, ExitReason::kMmio,
                                        ExitReason::kIo, ExitReason::kHlt));
  EXPECT_EQ(context_.exits(ExitReason::kIo), 3u);  // the kept one too
}

TEST_P(VcpuLoopTest, ReturnsTheVeryExitTheHandlerStoppedAt) {
  ScriptedVcpu vcpu(Script().Out(0x10, 2, {0x34, 0x12}).Hlt());
  Handler handler([](Exit&) { return LoopAction::kReturn; });
  const Exit exit = Enter(vcpu, handler);
  ASSERT_EQ(exit.reason, ExitReason::kIo);
  EXPECT_EQ(exit.io.port, 0x10);
  EXPECT_EQ(exit.io.size, 2);
  EXPECT_EQ(std::memcmp(exit.io.data, "\x34\x12", 2), 0);
  // And goes on behind it.
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kHlt);
}

TEST_P(VcpuLoopTest, WhatTheHandlerStoresReachesTheGuest) {  // CMP.1
  ScriptedVcpu vcpu(Script().In(0x60, 1).Expect({0x1c}).Hlt());
  Handler handler([](Exit& exit) {
    if (exit.reason == ExitReason::kIo) std::memset(exit.io.data, 0x1c, 1);
    return ReturnOnHlt(exit);
  });
  Enter(vcpu, handler);
  EXPECT_TRUE(vcpu.Verify().ok()) << vcpu.Verify();
}

TEST_P(VcpuLoopTest, AFailedRunEndsTheLoopWithoutTheHandler) {
  ScriptedVcpu vcpu(
      Script().Raise(MakeExit(ExitReason::kError, 0, EFAULT)).Hlt());
  Handler handler;
  const Exit exit = Enter(vcpu, handler);
  EXPECT_EQ(exit.reason, ExitReason::kError);
  EXPECT_EQ(exit.error.error_number, EFAULT);
  EXPECT_THAT(handler.seen, IsEmpty());
  EXPECT_EQ(context_.exits(ExitReason::kError), 1u);
}

TEST_P(VcpuLoopTest, TheEndOfAScriptCannotBeMistaken) {
  ScriptedVcpu vcpu(Script().Hlt());
  Handler handler;
  const Exit exit = Enter(vcpu, handler);
  EXPECT_EQ(exit.reason, ExitReason::kError);
  EXPECT_EQ(exit.raw, kEndOfScript);
  EXPECT_EQ(exit.error.error_number, ENODATA);
}

// --- Requests and kicks.

TEST_P(VcpuLoopTest, AReturnRequestBeforeTheLoopReturnsWithoutAnEntry) {
  ScriptedVcpu vcpu(Script().Hlt());
  Handler handler(ReturnOnHlt);
  context_.RequestReturn();
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kInterrupted);
  EXPECT_EQ(vcpu.entries(), 0u);
  EXPECT_EQ(context_.exits(ExitReason::kInterrupted), 0u);
  // It was taken: the next call runs.
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kHlt);
}

TEST_P(VcpuLoopTest, AReturnRequestInTheHandlerDoesNotLoseTheExit) {
  ScriptedVcpu vcpu(Script().Out(1, 1, {0}).Hlt());
  Handler handler([this](Exit& exit) {
    context_.RequestReturn();
    return ReturnOnHlt(exit);
  });
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kInterrupted);
  EXPECT_THAT(handler.seen, ElementsAre(ExitReason::kIo));
}

TEST_P(VcpuLoopTest, AKickWithARequestEndsASpinningGuest) {  // KICK.2
  ScriptedVcpu vcpu(Script().Out(1, 1, {0}).Spin().Hlt());
  const KickHandle handle = vcpu.kick_handle();
  std::thread other;
  Handler handler([&](Exit&) {
    other = std::thread([&] {
      context_.RequestReturn();
      handle.Kick();
    });
    return LoopAction::kResume;
  });
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kInterrupted);
  other.join();
  // The handler saw the OUT, and nothing of the kick.
  EXPECT_THAT(handler.seen, ElementsAre(ExitReason::kIo));
}

TEST_P(VcpuLoopTest, AKickBeforeEntryIsNotLost) {  // KICK.1
  ScriptedVcpu vcpu(Script().Spin().Hlt());
  // The request is seen only after the kick: as if the other thread got in
  // between the loop's look and its entry.
  vcpu.kick_handle().Kick();
  Handler handler([this](Exit& exit) {
    EXPECT_EQ(exit.reason, ExitReason::kInterrupted);
    context_.RequestReturn();
    return LoopAction::kResume;
  });
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kInterrupted);
  EXPECT_EQ(vcpu.entries(), 0u);
}

TEST_P(VcpuLoopTest, AKickWithNothingRequestedGoesToTheHandler) {
  ScriptedVcpu vcpu(Script().Hlt());
  vcpu.kick_handle().Kick();
  Handler handler(ReturnOnHlt);
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kHlt);
  EXPECT_THAT(handler.seen,
              ElementsAre(ExitReason::kInterrupted, ExitReason::kHlt));
  EXPECT_EQ(context_.exits(ExitReason::kInterrupted), 1u);
}

TEST_P(VcpuLoopTest, AnInterruptPostedAndKickedFromAnotherThreadIsDelivered) {
  ScriptedVcpu vcpu(Script().Interrupts(true).Out(1, 1, {0}).Spin().Hlt());
  std::atomic<bool> is_done = false;
  std::thread other;
  Handler handler([&](Exit& exit) {
    if (exit.reason == ExitReason::kIo) {
      other = std::thread([&, handle = vcpu.kick_handle()] {
        EXPECT_TRUE(context_.PostIrq(0x40));
        // The first kick may come before the entry with the interrupt, and this
        // guest spins on until there is another one.
        while (!is_done.load()) {
          handle.Kick();
          std::this_thread::yield();
        }
      });
    }
    if (vcpu.is_at_end() || vcpu.delivery_count() != 0) is_done.store(true);
    return ReturnOnHlt(exit);
  });
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kHlt);
  is_done.store(true);
  other.join();
  ASSERT_EQ(vcpu.deliveries().size(), 1u);
  EXPECT_EQ(vcpu.deliveries()[0].event.vector, 0x40);
}

TEST_P(VcpuLoopTest, ManyPostersLoseNothingWhileTheGuestRuns) {
  constexpr int kVectors = 128;
  ScriptedVcpu vcpu(Script().Interrupts(true).Out(1, 1, {0}).Times(~0u));
  std::atomic<int> running = 2;
  std::vector<std::thread> threads;
  threads.reserve(2);
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < kVectors; i += 2) {
        ASSERT_TRUE(context_.PostIrq(static_cast<std::uint8_t>(64 + i)));
      }
      if (running.fetch_sub(1) == 1) context_.RequestReturn();
    });
  }
  Handler handler;
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kInterrupted);
  for (std::thread& thread : threads) thread.join();
  // The request overtook what waited; the next call goes on with it.
  if (!context_.queue().empty()) {
    Handler until_idle([this](Exit&) {
      return context_.queue().empty() ? LoopAction::kReturn
                                      : LoopAction::kResume;
    });
    EXPECT_EQ(Enter(vcpu, until_idle).reason, ExitReason::kIo);
  }
  vcpu.run();  // what was accepted last goes in
  EXPECT_EQ(vcpu.delivery_count(), kVectors);
}

// --- Injection.

TEST_P(VcpuLoopTest, ExceptionThenNmiThenIrqsHighestFirstOneAnEntry) {
  // INJ.1, INJ.3, INJ.5, INJ.6
  ScriptedVcpu vcpu(Script().Interrupts(true).Out(1, 1, {0}).Times(4).Hlt());
  context_.PostIrq(0x30);
  context_.PostIrq(0xf0);
  context_.PostNmi();
  ASSERT_TRUE(context_.PostException(kPageFaultEvent));
  EXPECT_FALSE(context_.PostException(kPageFaultEvent));
  Handler handler(ReturnOnHlt);
  Enter(vcpu, handler);
  // The windows that the loop asked for on the way are entries as well, and
  // none of the handler's business.
  std::vector<int> vectors;
  std::vector<std::uint64_t> entries;
  for (const auto& [entry, vector] : Delivered(vcpu)) {
    vectors.push_back(vector);
    entries.push_back(entry);
  }
  EXPECT_THAT(vectors, ElementsAre(14, 2, 0xf0, 0x30));
  EXPECT_EQ(std::adjacent_find(entries.begin(), entries.end()), entries.end());
  EXPECT_EQ(vcpu.deliveries()[0].event.error_code, 2u);
  EXPECT_TRUE(vcpu.deliveries()[0].event.has_error_code);
  EXPECT_EQ(std::count(handler.seen.begin(), handler.seen.end(),
                       ExitReason::kIrqWindow),
            0);
}

TEST_P(VcpuLoopTest, BlockedIrqWaitsForTheWindow) {  // INJ.2, WIN.1, WIN.2
  ScriptedVcpu vcpu(
      Script().Interrupts(false).Out(1, 1, {0}).Interrupts(true).Hlt());
  context_.PostIrq(0x55);
  Handler handler(ReturnOnHlt);
  Enter(vcpu, handler);
  // Entry 1: OUT. Entry 2: the guest's STI opens the window. Entry 3: delivery.
  EXPECT_EQ(Delivered(vcpu), (Entries{{3, 0x55}}));
  EXPECT_EQ(context_.exits(ExitReason::kIrqWindow), 1u);
  EXPECT_EQ(vcpu.irq_window_requests(), 1u);
  EXPECT_FALSE(vcpu.irq_window_wanted());
  EXPECT_THAT(handler.seen, ElementsAre(ExitReason::kIo, ExitReason::kHlt));
}

TEST_P(VcpuLoopTest, AnInterruptShadowBlocksLikeTheFlag) {
  ScriptedVcpu vcpu(Script()
                        .Interrupts(true)
                        .Shadow(true)
                        .Out(1, 1, {0})
                        .Shadow(false)
                        .Hlt());
  context_.PostIrq(0x55);
  Handler handler(ReturnOnHlt);
  Enter(vcpu, handler);
  EXPECT_EQ(Delivered(vcpu), (Entries{{3, 0x55}}));
}

TEST_P(VcpuLoopTest, TheWindowIsWithdrawnWhenTheInterruptGotInWithoutIt) {
  // The caller, and not the guest, turns interrupts on: the loop injects at the
  // next turn, and the window it had asked for is not wanted any more.
  ScriptedVcpu vcpu(Script().Out(1, 1, {0}).Out(2, 1, {0}).Hlt());
  Handler handler([&](Exit& exit) {
    if (exit.reason != ExitReason::kIo) return ReturnOnHlt(exit);
    if (exit.io.port == 1) {
      context_.PostIrq(0x55);
    } else {
      EXPECT_TRUE(vcpu.irq_window_wanted());
      vcpu.fetch_registers(kGeneralRegisters);
      vcpu.registers().general.rflags |= 1 << 9;
      vcpu.registers().dirty = kGeneralRegisters;
      EXPECT_EQ(vcpu.commit_registers(), Result::kOk);
    }
    return LoopAction::kResume;
  });
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kHlt);
  EXPECT_EQ(Delivered(vcpu), (Entries{{3, 0x55}}));
  EXPECT_EQ(context_.exits(ExitReason::kIrqWindow), 0u);
  EXPECT_FALSE(vcpu.irq_window_wanted());
}

TEST_P(VcpuLoopTest, TheCallersOwnWindowStaysTheCallers) {
  ScriptedVcpu vcpu(Script().Interrupts(true).Out(1, 1, {0}).Hlt());
  vcpu.request_irq_window(true);
  Handler handler(ReturnOnHlt);
  Enter(vcpu, handler);
  EXPECT_THAT(handler.seen, ElementsAre(ExitReason::kIrqWindow, ExitReason::kIo,
                                        ExitReason::kHlt));
}

TEST_P(VcpuLoopTest, TheSecondInterruptDoesNotWaitForAnExitByChance) {
  // Without a window for the second vector the guest would run on to its HLT.
  ScriptedVcpu vcpu(Script().Interrupts(true).Out(1, 1, {0}).Hlt());
  Handler handler([this](Exit& exit) {
    if (exit.reason == ExitReason::kIo) {
      context_.PostIrq(0x80);
      context_.PostIrq(0x90);
    }
    return ReturnOnHlt(exit);
  });
  Enter(vcpu, handler);
  EXPECT_EQ(Delivered(vcpu), (Entries{{2, 0x90}, {3, 0x80}}));
  EXPECT_THAT(handler.seen, ElementsAre(ExitReason::kIo, ExitReason::kHlt));
  EXPECT_FALSE(vcpu.irq_window_wanted());
}

TEST_P(VcpuLoopTest, ABlockedNmiDoesNotHoldUpAnInterrupt) {
  // The guest is in its NMI handler, with interrupts on, and leaves it later.
  ScriptedVcpu vcpu(
      Script().Interrupts(true).Nmis(false).Out(1, 1, {0}).Nmis(true).Hlt());
  context_.PostNmi();
  context_.PostIrq(0x66);
  Handler handler(ReturnOnHlt);
  Enter(vcpu, handler);
  // Entry 2 ends with the NMI window, and entry 3 delivers.
  EXPECT_EQ(Delivered(vcpu), (Entries{{1, 0x66}, {3, 2}}));
  EXPECT_EQ(context_.exits(ExitReason::kNmiWindow), 1u);
  EXPECT_THAT(handler.seen, ElementsAre(ExitReason::kIo, ExitReason::kHlt));
}

TEST_P(VcpuLoopTest, NmiIsDeliveredWithInterruptsOff) {  // INJ.5
  ScriptedVcpu vcpu(Script().Interrupts(false).Hlt());
  context_.PostNmi();
  Handler handler(ReturnOnHlt);
  Enter(vcpu, handler);
  EXPECT_EQ(Delivered(vcpu), (Entries{{1, 2}}));
}

TEST_P(VcpuLoopTest, WhatIsBusyIsTriedAgain) {  // INJ.3
  // An event accepted before a kick is still on its way when the next one
  // comes.
  ScriptedVcpu vcpu(
      Script().Interrupts(true).Out(1, 1, {0}).Out(2, 1, {0}).Hlt());
  ASSERT_EQ(vcpu.inject_irq(0x20), InjectResult::kOk);
  context_.PostIrq(0x99);
  Handler handler(ReturnOnHlt);
  Enter(vcpu, handler);
  const Entries delivered = Delivered(vcpu);
  ASSERT_EQ(delivered.size(), 2u);
  EXPECT_EQ(delivered[0], (std::pair<std::uint64_t, int>{1, 0x20}));
  EXPECT_EQ(delivered[1].second, 0x99);
  EXPECT_EQ(context_.injection_failure(), InjectResult::kOk);
}

TEST_P(VcpuLoopTest, AnEventWhoseDeliveryTheExitInterruptedGoesInAgain) {
  // INJ.4
  ScriptedVcpu vcpu(
      Script().Interrupts(true).MmioRead(0x1000, 4).Undelivered().Hlt());
  context_.PostIrq(0x44);
  Handler handler(ReturnOnHlt);
  Enter(vcpu, handler);
  EXPECT_EQ(Delivered(vcpu), (Entries{{2, 0x44}}));
}

TEST_P(VcpuLoopTest, ARefusedInjectionEndsTheLoopAndSaysWhy) {
  ScriptedVcpu vcpu(
      Script().Interrupts(true).Injection(InjectResult::kError, ENXIO).Hlt());
  context_.PostIrq(0x44);
  Handler handler(ReturnOnHlt);
  const Exit exit = Enter(vcpu, handler);
  EXPECT_EQ(exit.reason, ExitReason::kError);
  EXPECT_EQ(exit.error.error_number, 0);
  EXPECT_EQ(context_.injection_failure(), InjectResult::kError);
  EXPECT_EQ(vcpu.last_error(), ENXIO);
  EXPECT_EQ(vcpu.entries(), 0u);
  EXPECT_THAT(handler.seen, IsEmpty());
  // The refused event is gone, and the vCPU goes on.
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kHlt);
}

TEST_P(VcpuLoopTest, AnEventBehindARefusedOneIsNotForgotten) {
  ScriptedVcpu vcpu(Script().Interrupts(true).Out(1, 1, {0}).Times(2).Hlt());
  // Vector 2 is no exception's: refused with kInvalid (INJ.7).
  ASSERT_TRUE(
      context_.PostException({.kind = EventKind::kException, .vector = 2}));
  context_.PostIrq(0x77);
  Handler handler(ReturnOnHlt);
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kError);
  EXPECT_EQ(context_.injection_failure(), InjectResult::kInvalid);
  EXPECT_EQ(Enter(vcpu, handler).reason, ExitReason::kHlt);
  EXPECT_EQ(vcpu.delivery_count(), 1u);
}

TEST_P(VcpuLoopTest, RetryGoesToTheHandlerThoughABlockedEventWaits) {
  // Not runnable (waiting for SIPI), and an interrupt that cannot get in: who
  // swallows the exit here enters for ever.
  ScriptedVcpu vcpu(Script()
                        .Raise(MakeExit(ExitReason::kRetry, 0, EAGAIN))
                        .Times(1000)
                        .Hlt());
  context_.PostIrq(0x44);
  Handler handler([](Exit& exit) {
    return exit.reason == ExitReason::kRetry ? LoopAction::kReturn
                                             : LoopAction::kResume;
  });
  const Exit exit = Enter(vcpu, handler);
  EXPECT_EQ(exit.reason, ExitReason::kRetry);
  EXPECT_EQ(exit.error.error_number, EAGAIN);
  EXPECT_EQ(context_.exits(ExitReason::kRetry), 1u);
}

TEST_P(VcpuLoopTest, AnInvalidVectorIsRefusedBeforeItIsQueued) {  // INJ.7
  EXPECT_FALSE(context_.PostIrq(15));
  EXPECT_TRUE(context_.queue().empty());
}

// --- What it costs.

TEST_P(VcpuLoopTest, AllocatesNothingPerExit) {
  ScriptedVcpu vcpu(Script()
                        .Interrupts(true)
                        .In(0x60, 4)
                        .Times(1000)
                        .MmioWrite(0x1000, {1, 2, 3, 4})
                        .Times(1000)
                        .Rdmsr(0x10)
                        .Times(1000)
                        .Hlt());
  vcpu.registers().wanted = kAllRegisters;
  Handler handler([this](Exit& exit) {
    context_.PostIrq(0x40);
    return ReturnOnHlt(exit);
  });
  const std::uint64_t before = g_allocations.load();
  const Exit exit = Enter(vcpu, handler);
  const std::uint64_t after = g_allocations.load();
  EXPECT_EQ(exit.reason, ExitReason::kHlt);
  EXPECT_EQ(after - before, 0u);
  EXPECT_GT(before, 0u) << "the count does not count";
  EXPECT_GE(vcpu.delivery_count(), 2999u);
}

}  // namespace
}  // namespace worldswitch
