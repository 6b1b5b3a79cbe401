// The guest's clocks on the real /dev/kvm: an engine may ignore what it is
// told, and then the answer has to say so.

#include <x86intrin.h>

#include <cerrno>

#include "core/features/guest_clock.h"
#include "gmock/gmock.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

WS_GUEST(Tsc, "rdtsc; shl $32, %rdx; or %rdx, %rax; hlt")
WS_GUEST(In, "in $0x10, %al; hlt")

class KvmClockTest : public KvmTest {
 protected:
  void Make() {
    MakeVm();
    clock_ = FeatureOf<GuestClock>(*vm_);
    ASSERT_NE(clock_, nullptr);
  }
  // By the test's own guest, not by the feature.
  std::uint64_t GuestTsc() {
    Start(TscCode());
    Watchdog watchdog(vcpu().kick_handle());
    EXPECT_EQ(vcpu().run().reason, ExitReason::kHlt);
    EXPECT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
    return general().rax;
  }

  GuestClock* clock_ = nullptr;
};

TEST_F(KvmClockTest, TheClockGoesOnFromWhereItIsSet) {
  Make();
  ASSERT_TRUE(clock_->clock_ns().known);
  constexpr std::uint64_t kHour = 3600ull * 1000 * 1000 * 1000;
  ASSERT_EQ(clock_->set_clock_ns(kHour), ClockEffect::kTookEffect);
  const std::uint64_t now = clock_->clock_ns().value;
  EXPECT_GE(now, kHour);
  EXPECT_LT(now, 2 * kHour);
}

TEST_F(KvmClockTest, TheGuestsTscIsReadInTheGuest) {
  Make();
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  ASSERT_EQ(clock_->read_guest_tsc(0, &first), Result::kOk)
      << "errno " << clock_->last_error();
  const std::uint64_t between = GuestTsc();
  ASSERT_EQ(clock_->read_guest_tsc(0, &second), Result::kOk);
  EXPECT_LT(first, between);
  EXPECT_LT(between, second);
}

TEST_F(KvmClockTest, ReadingItLeavesTheGuestAsItWas) {
  Make();
  Start(InCode());
  Watchdog watchdog(vcpu().kick_handle());
  const Exit exit = vcpu().run();
  ASSERT_EQ(exit.reason, ExitReason::kIo);
  *static_cast<std::uint8_t*>(exit.io.data) = 0x42;
  const auto before = Read<std::uint64_t>(0);
  std::uint64_t tsc = 0;
  ASSERT_EQ(clock_->read_guest_tsc(0, &tsc), Result::kOk);
  EXPECT_EQ(Read<std::uint64_t>(0), before);
  ASSERT_EQ(vcpu().run().reason, ExitReason::kHlt);
  ASSERT_EQ(vcpu().fetch_registers(kAllRegisters), Result::kOk);
  EXPECT_EQ(general().rax, 0x42u);
  EXPECT_EQ(vcpu().registers().special.cr3, kPml4);
}

TEST_F(KvmClockTest, AKickIsNotLostInReading) {
  Make();
  Start(InCode());
  vcpu().kick_handle().Kick();
  std::uint64_t tsc = 0;
  EXPECT_EQ(clock_->read_guest_tsc(0, &tsc), Result::kError);
  EXPECT_EQ(clock_->last_error(), EINTR);
  EXPECT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
  EXPECT_EQ(vcpu().run().reason, ExitReason::kIo);
}

// Whatever the answer is, the guest agrees with it.
TEST_F(KvmClockTest, WhatIsSaidOfATscOffsetIsTrue) {
  Make();
  constexpr std::uint64_t kOffset = std::uint64_t{1} << 42;
  const std::uint64_t told = clock_->tsc_offset(0).value;
  const ClockEffect effect = clock_->set_tsc_offset(0, told + kOffset);
  RecordProperty("effect", ClockEffectName(effect));
  std::uint64_t guest = GuestTsc();
  const std::uint64_t ahead = guest - __rdtsc();
  constexpr std::uint64_t kHalf = kOffset / 2;
  switch (effect) {
    case ClockEffect::kTookEffect:
      EXPECT_GT(ahead + kHalf - told, kOffset);
      break;
    case ClockEffect::kAcceptedNoEffect:
      EXPECT_LT(ahead + kHalf - told, kOffset);
      break;
    case ClockEffect::kRefused:
      EXPECT_NE(clock_->last_error(), 0);
      break;
    case ClockEffect::kUnproven:
      ADD_FAILURE() << "an offset of 2^42 ticks cannot be missed";
  }
}

TEST_F(KvmClockTest, WhatIsSaidOfATscFrequencyIsTrue) {
  Make();
  const OptionalValue khz = clock_->tsc_khz(0);
  if (!khz.known) GTEST_SKIP() << "the engine lacks KVM_CAP_GET_TSC_KHZ";
  EXPECT_GT(khz.value, 100000u);
  const ClockEffect effect =
      clock_->set_tsc_khz(0, static_cast<std::uint32_t>(khz.value / 2));
  RecordProperty("effect", ClockEffectName(effect));
  if (effect == ClockEffect::kRefused) {
    EXPECT_NE(clock_->last_error(), 0);
    EXPECT_EQ(clock_->tsc_khz(0).value, khz.value) << "what was refused";
  }
  // The frequency it has cannot be told from the one it had.
  EXPECT_NE(clock_->set_tsc_khz(
                0, static_cast<std::uint32_t>(clock_->tsc_khz(0).value)),
            ClockEffect::kTookEffect);
}

}  // namespace
}  // namespace worldswitch
