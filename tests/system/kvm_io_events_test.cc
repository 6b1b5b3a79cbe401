// Writes that the engine takes note of by itself, on the real /dev/kvm.

#include <cerrno>

#include "core/features/io_events.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

constexpr std::uint16_t kPort = 0xe0;
constexpr std::uint16_t kDonePort = 0xe1;

WS_GUEST(TenOuts,
         "mov $10, %ecx\n"
         "1: out %al, $0xe0\n"
         "dec %ecx\n"
         "jnz 1b\n"
         "out %al, $0xe1\n");

WS_GUEST(SevenThenEight,
         "mov $7, %eax\n"
         "out %al, $0xe0\n"
         "mov $8, %eax\n"
         "out %al, $0xe0\n"
         "out %al, $0xe1\n");

// Stores of four lengths to kMmioBase.
WS_GUEST(FourLengths,
         "mov $0x10000000, %esi\n"
         "mov $0x5a, %eax\n"
         "mov %al, (%rsi)\n"
         "mov %ax, (%rsi)\n"
         "mov %eax, (%rsi)\n"
         "mov %rax, (%rsi)\n"
         "out %al, $0xe1\n");

// 1 and 3 into memory, 2 to the port, then again with an exit.
WS_GUEST(OneTwoThree,
         "mov $0x10000000, %esi\n"
         "1: movl $1, (%rsi)\n"
         "mov $2, %eax\n"
         "out %al, $0xe0\n"
         "movl $3, 4(%rsi)\n"
         "out %al, $0xe1\n"
         "jmp 1b\n");

WS_GUEST(StoreForEver,
         "mov $0x10000000, %esi\n"
         "xor %eax, %eax\n"
         "1: mov %eax, (%rsi)\n"
         "inc %eax\n"
         "jmp 1b\n");

class KvmIoEventsTest : public KvmTest {
 protected:
  void SetUp() override {
    KvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    MakeVm();
    events_ = FeatureOf<IoEvents>(*vm_);
    if (events_ == nullptr) GTEST_SKIP() << "the engine has no I/O events";
  }

  Exit Run() {
    Watchdog watchdog(vcpu().kick_handle());
    Exit exit = vcpu().run();
    while (exit.reason == ExitReason::kInterrupted && !watchdog.fired()) {
      exit = vcpu().run();
    }
    return exit;
  }
  void ExpectOut(std::uint16_t port) {
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.io.port, port);
  }

  IoEvents* events_ = nullptr;
};

TEST_F(KvmIoEventsTest, EveryWriteSignalsAndNoneExits) {
  IoEventToken token = 9;
  ASSERT_EQ(
      events_->add_event(
          {.space = IoSpace::kPort, .address = kPort, .length = 1}, &token),
      Result::kOk);
  EXPECT_EQ(token, 0u);
  Start(TenOutsCode());
  ExpectOut(kDonePort);
  EXPECT_EQ(events_->signals(token), 10u);
  EXPECT_EQ(events_->signals(token), 10u) << "reading it takes nothing away";
  ASSERT_EQ(events_->remove_event(token), Result::kOk);
  Start(TenOutsCode());
  ExpectOut(kPort);
  EXPECT_EQ(events_->signals(token), 10u) << "the count outlives the event";
}

TEST_F(KvmIoEventsTest, OnlyTheMatchingValueSignals) {
  IoEventToken token = 0;
  ASSERT_EQ(events_->add_event({.space = IoSpace::kPort,
                                .address = kPort,
                                .length = 1,
                                .match = true,
                                .value = 7},
                               &token),
            Result::kOk);
  Start(SevenThenEightCode());
  ExpectOut(kPort);
  EXPECT_EQ(events_->signals(token), 1u);
  ExpectOut(kDonePort);
  EXPECT_EQ(events_->signals(token), 1u);
}

TEST_F(KvmIoEventsTest, LengthZeroTakesEveryLength) {
  IoEventToken token = 0;
  const Result added = events_->add_event(
      {.space = IoSpace::kMemory, .address = kMmioBase, .length = 0}, &token);
  if (added == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_IOEVENTFD_NO_LENGTH";
  }
  ASSERT_EQ(added, Result::kOk) << events_->last_error();
  Start(FourLengthsCode());
  ExpectOut(kDonePort);
  EXPECT_EQ(events_->signals(token), 4u);
}

TEST_F(KvmIoEventsTest, ALengthTakesOnlyThatLength) {
  IoEventToken token = 0;
  ASSERT_EQ(events_->add_event(
                {.space = IoSpace::kMemory, .address = kMmioBase, .length = 4},
                &token),
            Result::kOk);
  Start(FourLengthsCode());
  for (const std::uint32_t length : {1u, 2u, 8u}) {
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kMmio) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.mmio.length, length);
  }
  ExpectOut(kDonePort);
  EXPECT_EQ(events_->signals(token), 1u);
}

TEST_F(KvmIoEventsTest, CollectedWritesComeOutInOrder) {
  if (events_->coalesced_capacity() == 0) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_COALESCED_MMIO";
  }
  ASSERT_EQ(events_->add_coalesced(IoSpace::kMemory, kMmioBase, 8),
            Result::kOk);
  const Result port = events_->add_coalesced(IoSpace::kPort, kPort, 1);
  if (port == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_COALESCED_PIO";
  }
  ASSERT_EQ(port, Result::kOk);
  Start(OneTwoThreeCode());
  ExpectOut(kDonePort);
  const CoalescedWrite expected[] = {{IoSpace::kMemory, kMmioBase, 4, 1},
                                     {IoSpace::kPort, kPort, 1, 2},
                                     {IoSpace::kMemory, kMmioBase + 4, 4, 3}};
  for (const CoalescedWrite& wanted : expected) {
    CoalescedWrite write = {};
    ASSERT_TRUE(events_->next_coalesced(&write));
    EXPECT_EQ(write.space, wanted.space);
    EXPECT_EQ(write.address, wanted.address);
    EXPECT_EQ(write.length, wanted.length);
    EXPECT_EQ(write.value, wanted.value);
  }
  CoalescedWrite none = {};
  EXPECT_FALSE(events_->next_coalesced(&none));
  EXPECT_EQ(events_->drain_coalesced(), 3u);

  ASSERT_EQ(events_->remove_coalesced(IoSpace::kPort, kPort, 1), Result::kOk);
  ExpectOut(kPort);
}

TEST_F(KvmIoEventsTest, AFullRingExitsAndLosesNothing) {
  const std::uint32_t capacity = events_->coalesced_capacity();
  if (capacity == 0) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_COALESCED_MMIO";
  }
  ASSERT_EQ(events_->add_coalesced(IoSpace::kMemory, kMmioBase, 4),
            Result::kOk);
  Start(StoreForEverCode());
  std::uint32_t expected = 0;
  for (int round = 0; round < 3; ++round) {
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kMmio) << ExitReasonName(exit.reason);
    CoalescedWrite write = {};
    for (std::uint32_t i = 0; i < capacity; ++i) {
      ASSERT_TRUE(events_->next_coalesced(&write)) << i << " of " << capacity;
      EXPECT_EQ(write.value, expected++);
    }
    EXPECT_FALSE(events_->next_coalesced(&write));
    std::uint32_t last = 0;
    std::memcpy(&last, exit.mmio.data, sizeof(last));
    EXPECT_EQ(last, expected++);
  }
}

TEST_F(KvmIoEventsTest, BadArgumentsAreRefused) {
  IoEventToken token = 0;
  const IoEvent odd = {.space = IoSpace::kPort, .address = kPort, .length = 3};
  EXPECT_EQ(events_->add_event(odd, &token), Result::kError);
  EXPECT_EQ(events_->last_error(), EINVAL);
  const IoEvent no_length = {.space = IoSpace::kMemory,
                             .address = kMmioBase,
                             .length = 0,
                             .match = true,
                             .value = 1};
  EXPECT_EQ(events_->add_event(no_length, &token), Result::kError);
  const IoEvent good = {.space = IoSpace::kPort, .address = kPort, .length = 1};
  EXPECT_EQ(events_->add_event(good, &token), Result::kOk);
  EXPECT_EQ(events_->add_event(good, &token), Result::kError);
  EXPECT_EQ(events_->last_error(), EEXIST);
  EXPECT_EQ(events_->remove_event(5), Result::kError);
  EXPECT_EQ(events_->last_error(), EINVAL);
  EXPECT_EQ(events_->signals(5), 0u);
  EXPECT_EQ(events_->add_coalesced(IoSpace::kMemory, kMmioBase, 0),
            Result::kError);
}

}  // namespace
}  // namespace worldswitch
