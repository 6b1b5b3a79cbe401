// The injection state machine of the native SVM backend, over a VMCB that no
// processor ever sees: the test plays VMRUN.

#include <memory>

#include "backends/svm_amd/native/svm_events.h"
#include "gtest/gtest.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint64_t kValid = 1u << 31;
constexpr std::uint64_t kIrq51 = kValid | 0x51;
constexpr std::uint64_t kNmi = kValid | 2u << 8 | 2;
constexpr std::uint64_t kExceptionDb = 0x41;

class SvmEventsTest : public ::testing::Test {
 protected:
  explicit SvmEventsTest(VirtualIrq how = VirtualIrq::kOff)
      : events_(*vmcb_, work_, how) {}

  // An entry that ends with an exit; interrupted: EXITINTINFO.
  void Enter(std::uint64_t exit_code = 0x7B, std::uint64_t interrupted = 0) {
    vmcb_->control.exit_code = exit_code;
    vmcb_->control.exit_int_info = interrupted;
    if ((work_.after & (EntryWork::kEvent | EntryWork::kNmi)) != 0 ||
        interrupted != 0) {
      events_.AfterExit(/*entered=*/true);
    }
  }
  std::uint64_t injected() const { return vmcb_->control.event_injection; }
  bool intercepts(std::uint32_t bit) const {
    return (vmcb_->control.intercepts1 & bit) != 0;
  }

  std::unique_ptr<Vmcb> vmcb_ = std::make_unique<Vmcb>();
  EntryWork work_;
  SvmEvents events_;
};

class SvmVirtualIrqTest : public SvmEventsTest {
 protected:
  SvmVirtualIrqTest() : SvmEventsTest(VirtualIrq::kOn) {}
};

TEST_F(SvmEventsTest, AcceptedGoesInOnce) {
  EXPECT_EQ(events_.AcceptIrq(0x51, true), InjectResult::kOk);
  EXPECT_EQ(injected(), kIrq51);
  EXPECT_TRUE(events_.busy());
  EXPECT_EQ(events_.AcceptIrq(0x52, true), InjectResult::kBusy);
  EXPECT_EQ(events_.AcceptNmi(false), InjectResult::kBusy);
  Enter();
  EXPECT_EQ(injected(), 0u);
  EXPECT_FALSE(events_.busy());
  EXPECT_EQ(events_.irqs_injected(), 1u);
}

TEST_F(SvmEventsTest, BlockedAndInvalidLeaveNothing) {
  EXPECT_EQ(events_.AcceptIrq(0x51, false), InjectResult::kBlocked);
  EXPECT_EQ(events_.AcceptIrq(15, true), InjectResult::kInvalid);
  EXPECT_EQ(events_.AcceptNmi(true), InjectResult::kBlocked);
  EXPECT_EQ(
      events_.AcceptException({.kind = EventKind::kException, .vector = 2}),
      InjectResult::kInvalid);
  EXPECT_EQ(injected(), 0u);
  EXPECT_FALSE(events_.busy());
}

TEST_F(SvmEventsTest, InterruptedDeliveryIsPutBack) {
  events_.AcceptIrq(0x51, true);
  Enter(0x400, kIrq51);
  EXPECT_EQ(injected(), kIrq51);
  EXPECT_TRUE(events_.busy());
  EXPECT_EQ(events_.irqs_injected(), 0u);
  Event event;
  EXPECT_TRUE(events_.Cancel(&event));
  EXPECT_EQ(event.kind, EventKind::kIrq);
  EXPECT_EQ(event.vector, 0x51);
  EXPECT_EQ(injected(), 0u);
  EXPECT_FALSE(events_.Cancel(&event));
}

TEST_F(SvmEventsTest, AnExceptionOfTheGuestsOwnIsPutBackWithItsErrorCode) {
  const std::uint64_t fault = kValid | 1u << 11 | 3u << 8 | 13 | 0x18ull << 32;
  Enter(0x400, fault);
  EXPECT_EQ(injected(), fault);
}

TEST_F(SvmEventsTest, AnInstructionsInterruptIsExecutedAgain) {
  Enter(0x400, kValid | 4u << 8 | 0x80);  // INT 80
  EXPECT_EQ(injected(), 0u);
  Enter(0x400, kValid | 3u << 8 | 3);  // INT3
  EXPECT_EQ(injected(), 0u);
}

TEST_F(SvmEventsTest, ARefusedEntryKeepsTheEvent) {
  events_.AcceptIrq(0x51, true);
  vmcb_->control.event_injection = 0;  // as QEMU leaves it
  vmcb_->control.exit_int_info = kValid | 0x99;
  events_.AfterExit(/*entered=*/false);
  EXPECT_EQ(injected(), kIrq51);
  EXPECT_TRUE(events_.busy());
}

TEST_F(SvmEventsTest, TheGuestsFaultGoesAheadOfTheInterrupt) {
  events_.AcceptIrq(0x51, true);
  events_.RaiseException({.kind = EventKind::kException,
                          .vector = 13,
                          .has_error_code = true,
                          .error_code = 0});
  EXPECT_EQ(injected() & 0xFF, 13u);
  // The processor delivers it as soon as the guest can take it.
  EXPECT_NE(vmcb_->control.virtual_interrupt & SvmVirtualInterrupt::kIrq, 0u);
  EXPECT_EQ(vmcb_->control.virtual_interrupt_vector, 0x51u);
  EXPECT_FALSE(intercepts(SvmIntercept1::kVintr));
  Enter();
  EXPECT_TRUE(events_.busy());
  vmcb_->control.virtual_interrupt &= ~SvmVirtualInterrupt::kIrq;
  Enter();
  EXPECT_FALSE(events_.busy());
  EXPECT_EQ(events_.irqs_injected(), 1u);
}

TEST_F(SvmEventsTest, TheWindowIsAVirtualInterruptThatExits) {
  events_.RequestIrqWindow(true);
  EXPECT_TRUE(intercepts(SvmIntercept1::kVintr));
  EXPECT_NE(vmcb_->control.virtual_interrupt & SvmVirtualInterrupt::kIrq, 0u);
  events_.OnVintrExit();
  EXPECT_FALSE(intercepts(SvmIntercept1::kVintr));
  EXPECT_EQ(vmcb_->control.virtual_interrupt & SvmVirtualInterrupt::kIrq, 0u);
  events_.RequestIrqWindow(true);
  events_.RequestIrqWindow(false);
  EXPECT_FALSE(intercepts(SvmIntercept1::kVintr));
}

TEST_F(SvmEventsTest, NmisAreBlockedUntilIretIsDone) {
  EXPECT_EQ(events_.AcceptNmi(false), InjectResult::kOk);
  EXPECT_EQ(injected(), kNmi);
  Enter();
  EXPECT_EQ(events_.nmis_injected(), 1u);
  EXPECT_TRUE(intercepts(SvmIntercept1::kIret));
  EXPECT_EQ(events_.AcceptNmi(false), InjectResult::kBlocked);
  vmcb_->save.rip = 0x1000;
  Enter(0x74);
  events_.OnIretExit();
  EXPECT_FALSE(intercepts(SvmIntercept1::kIret));
  // IRET itself is not done yet.
  Enter(0x60);
  EXPECT_EQ(events_.AcceptNmi(false), InjectResult::kBlocked);
  vmcb_->save.rip = 0x2000;
  Enter();
  EXPECT_EQ(events_.AcceptNmi(false), InjectResult::kOk);
}

TEST_F(SvmEventsTest, ACancelledNmiBlocksNothing) {
  events_.AcceptNmi(false);
  Event event;
  EXPECT_TRUE(events_.Cancel(&event));
  EXPECT_EQ(event.kind, EventKind::kNmi);
  EXPECT_FALSE(intercepts(SvmIntercept1::kIret));
  EXPECT_EQ(events_.AcceptNmi(false), InjectResult::kOk);
}

TEST_F(SvmEventsTest, TheNmiWindowStepsOverIret) {
  events_.AcceptNmi(false);
  Enter();
  events_.RequestNmiWindow(true);
  EXPECT_FALSE(events_.TakeOpenNmiWindow());
  vmcb_->save.rip = 0x1000;
  vmcb_->save.rflags = 2;
  Enter(0x74);
  events_.OnIretExit();
  EXPECT_NE(vmcb_->save.rflags & kRflagsTf, 0u);
  // IRET takes the guest's own RFLAGS from the stack.
  vmcb_->save.rip = 0x2000;
  vmcb_->save.rflags = 2;
  vmcb_->save.dr6 = kDr6Reset | 1u << 14;
  Enter(kExceptionDb);
  EXPECT_TRUE(events_.OnDebugExit());
  EXPECT_EQ(vmcb_->save.dr6, kDr6Reset);
  EXPECT_EQ(vmcb_->save.rflags & kRflagsTf, 0u);
  EXPECT_EQ(events_.AcceptNmi(false), InjectResult::kOk);
}

TEST_F(SvmEventsTest, TheNmiWindowIsOpenAtOnceWhereNothingBlocks) {
  events_.RequestNmiWindow(true);
  EXPECT_NE(work_.before & EntryWork::kNmiWindow, 0u);
  EXPECT_TRUE(events_.TakeOpenNmiWindow());
  EXPECT_EQ(work_.before & EntryWork::kNmiWindow, 0u);
  EXPECT_FALSE(events_.TakeOpenNmiWindow());
}

TEST_F(SvmVirtualIrqTest, GoesInWithoutEventInj) {
  EXPECT_EQ(events_.AcceptIrq(0x51, false), InjectResult::kBlocked);
  EXPECT_EQ(events_.AcceptIrq(0x51, true), InjectResult::kOk);
  EXPECT_EQ(injected(), 0u);
  EXPECT_EQ(vmcb_->control.virtual_interrupt_vector, 0x51u);
  EXPECT_FALSE(intercepts(SvmIntercept1::kVintr));
  Enter();  // something else came first
  EXPECT_TRUE(events_.busy());
  vmcb_->control.virtual_interrupt &= ~SvmVirtualInterrupt::kIrq;
  Enter();
  EXPECT_FALSE(events_.busy());
  EXPECT_EQ(events_.irqs_injected(), 1u);
}

TEST_F(SvmVirtualIrqTest, TheWindowWaitsForItsPlace) {
  events_.AcceptIrq(0x51, true);
  events_.RequestIrqWindow(true);
  EXPECT_FALSE(intercepts(SvmIntercept1::kVintr));
  vmcb_->control.virtual_interrupt &= ~SvmVirtualInterrupt::kIrq;
  Enter();
  EXPECT_TRUE(intercepts(SvmIntercept1::kVintr));
  events_.RequestIrqWindow(true);
  events_.AcceptIrq(0x52, true);
  Event event;
  EXPECT_TRUE(events_.Cancel(&event));
  EXPECT_EQ(event.vector, 0x52);
  EXPECT_TRUE(intercepts(SvmIntercept1::kVintr));
}

}  // namespace
}  // namespace worldswitch::svm
