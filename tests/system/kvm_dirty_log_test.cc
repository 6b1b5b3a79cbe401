// The dirty log on the real /dev/kvm: which pages were written.

#include <cerrno>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "guests/guests.h"
#include "tests/system/kvm_memory_fixture.h"

namespace worldswitch {
namespace {

using ::testing::ElementsAre;

// Reads it again and again, telling each value, until it is told to stop.
WS_GUEST(Poll,
         "mov $0x8000000, %ebx; 1: mov (%rbx), %eax; cmp $7, %eax; jne 2f;"
         "incq 0x30000; jmp 1b; 2: hlt; jmp 1b")
// Writes a byte to every 0x3000th byte, count times from the start.
WS_GUEST(Stride,
         "mov $0x8000000, %ebx; mov $5, %ecx; 1: movb $1, (%rbx);"
         "add $0x3000, %ebx; dec %ecx; jnz 1b; hlt")
// The same at CPL 3, made for LoadCode.
WS_GUEST(UserStride,
         "mov $0x8000000, %ebx; mov $5, %ecx; 1: movb $1, (%rbx);"
         "add $0x3000, %ebx; dec %ecx; jnz 1b; out %al, $0xe1")

using KvmDirtyLogTest = KvmMemoryTest;

TEST_F(KvmDirtyLogTest, TheDirtyLogNamesExactlyThePagesWritten) {
  Make();
  AddSlot(0x20000, kLogDirtyPages);
  Start(StrideCode());
  EXPECT_THAT(DirtyPages(1), ElementsAre());
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
  EXPECT_THAT(DirtyPages(1), ElementsAre()) << "told once";
  Start(StrideCode());  // watched again
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
  // Not watched any more.
  ASSERT_EQ(slots_->set_flags(1, kPlainSlot), Result::kOk);
  std::uint64_t bitmap = 0;
  EXPECT_EQ(log_->get(1, &bitmap, 1), Result::kError);
  EXPECT_EQ(log_->last_error(), ENOENT);
  EXPECT_EQ(log_->get(9, &bitmap, 1), Result::kError);
}

TEST_F(KvmDirtyLogTest, TheDirtyLogNamesWhatRing3Wrote) {
  Make();
  AddSlot(0x20000, kLogDirtyPages);
  for (int round = 0; round < 2; ++round) {
    const std::vector<unsigned char> code = UserStrideCode();
    ASSERT_EQ(LoadCode(*vm_, 0, GuestMode::kRing3, code.data(),
                       static_cast<std::uint32_t>(code.size())),
              Result::kOk);
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
    ASSERT_EQ(exit.io.port, WS_PORT_DONE);
    EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
  }
}

TEST_F(KvmDirtyLogTest, TheMainMemoryCanBeWatchedToo) {
  Make();
  Start(PollCode());
  AddSlot(0x1000, kPlainSlot);
  ASSERT_EQ(slots_->set_flags(0, kLogDirtyPages), Result::kOk);
  ASSERT_EQ(Run().reason, ExitReason::kHlt);  // the slot holds no 7
  DirtyPages(0);  // the page tables' accessed and dirty bits, and the like
  memory_[0].data()[0] = std::byte{7};
  std::thread stop([this] {
    while (Read<std::uint64_t>(0x30000) == 0) std::this_thread::yield();
    vcpu().kick_handle().Kick();
  });
  ASSERT_EQ(Run().reason, ExitReason::kInterrupted);
  stop.join();
  EXPECT_THAT(DirtyPages(0), ::testing::Contains(0x30u));
}

TEST_F(KvmDirtyLogTest, WithManualProtectPagesStayDirtyUntilCleared) {
  Make();
  const Result manual = log_->use_manual_protect(false);
  if (manual == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2";
  }
  ASSERT_EQ(manual, Result::kOk);
  AddSlot(0x20000, kLogDirtyPages);
  Start(StrideCode());
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12)) << "told again";
  const std::uint64_t some = 1u << 0 | 1u << 6;
  ASSERT_EQ(log_->clear(1, 0, 32, &some), Result::kOk) << log_->last_error();
  EXPECT_THAT(DirtyPages(1), ElementsAre(3, 9, 12));
  Start(StrideCode());
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 3, 6, 9, 12));
}

TEST_F(KvmDirtyLogTest, WithManualProtectASlotCanBeginAllDirty) {
  Make();
  if (log_->use_manual_protect(true) != Result::kOk) {
    GTEST_SKIP() << "the engine lacks KVM_DIRTY_LOG_INITIALLY_SET";
  }
  AddSlot(0x3000, kLogDirtyPages);
  EXPECT_THAT(DirtyPages(1), ElementsAre(0, 1, 2));
}

}  // namespace
}  // namespace worldswitch
