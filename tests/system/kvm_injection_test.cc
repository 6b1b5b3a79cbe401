// Interrupts, NMIs and exceptions on the real /dev/kvm, and taking them back.

#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

// The handler tells on port 0x20 what it got: the error code where there is
// one, else 0x99.
WS_GUEST(Handler,
         "push %rax; push %rdx; mov $0x20, %edx; mov $0x99, %eax\n"
         "out %al, %dx; pop %rdx; pop %rax; iretq")
WS_GUEST(ErrorHandler, "pop %rax; mov $0x20, %edx; out %eax, %dx; iretq")
WS_GUEST(StiOut, "sti; nop; mov $0x80, %edx; 1: out %al, %dx; jmp 1b")
WS_GUEST(CliOut, "cli; mov $0x80, %edx; 1: out %al, %dx; jmp 1b")
// Three OUTs with interrupts off, then on.
WS_GUEST(Later,
         "cli; mov $0x80, %edx; out %al, %dx; out %al, %dx; out %al, %dx\n"
         "sti; nop; nop; nop; 1: pause; jmp 1b")
WS_GUEST(HltOn, "sti; hlt; mov $0x80, %edx; out %al, %dx; hlt")

class KvmInjectionTest : public KvmTest {
 protected:
  static constexpr std::uint16_t kFromHandler = 0x20;
  static constexpr std::uint16_t kFromGuest = 0x80;

  void Begin(const std::vector<unsigned char>& code) {
    MakeVm();
    if (HasFatalFailure()) return;
    Start(code);
    Load(kHandlerGpa, HandlerCode());
    for (int vector = 0; vector < 256; ++vector) {
      SetGate(static_cast<std::uint8_t>(vector), kHandlerGpa);
    }
    watchdog_.emplace_back(new Watchdog(vcpu().kick_handle()));
  }
  Exit Run() {
    Exit exit = vcpu().run();
    while (exit.reason == ExitReason::kInterrupted &&
           !watchdog_.back()->fired()) {
      exit = vcpu().run();
    }
    return exit;
  }
  void ExpectOut(std::uint16_t port) {
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.io.port, port);
  }
  void TearDown() override { watchdog_.clear(); }

  std::vector<std::unique_ptr<Watchdog>> watchdog_;
};

TEST_F(KvmInjectionTest, AnInterruptIsDeliveredBeforeTheNextInstruction) {
  Begin(StiOutCode());
  ExpectOut(kFromGuest);
  ASSERT_TRUE(vcpu().interrupt_allowed());
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kOk);
  ExpectOut(kFromHandler);
  ExpectOut(kFromGuest);
  ExpectOut(kFromGuest);
}

TEST_F(KvmInjectionTest, ManyInterruptsOneAfterTheOther) {
  Begin(StiOutCode());
  ExpectOut(kFromGuest);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(vcpu().inject_irq(static_cast<std::uint8_t>(0x30 + i)),
              InjectResult::kOk);
    ExpectOut(kFromHandler);
    EXPECT_FALSE(vcpu().interrupt_allowed()) << "in the handler";
    EXPECT_EQ(vcpu().inject_irq(0x40), InjectResult::kBlocked);
    ExpectOut(kFromGuest);
  }
}

TEST_F(KvmInjectionTest, WithInterruptsOffItIsBlocked) {
  Begin(CliOutCode());
  ExpectOut(kFromGuest);
  EXPECT_FALSE(vcpu().interrupt_allowed());
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kBlocked);
  ExpectOut(kFromGuest);
  ExpectOut(kFromGuest);
}

TEST_F(KvmInjectionTest, BeforeTheFirstRunTheRegistersDecide) {
  Begin(CliOutCode());
  EXPECT_FALSE(vcpu().interrupt_allowed());
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kBlocked);
  general().rflags |= kRflagsIf;
  vcpu().registers().dirty = kGeneralRegisters;
  EXPECT_TRUE(vcpu().interrupt_allowed());
  ASSERT_EQ(vcpu().commit_registers(), Result::kOk);
  EXPECT_TRUE(vcpu().interrupt_allowed());
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kOk);
  ExpectOut(kFromHandler);
  ExpectOut(kFromGuest);
}

TEST_F(KvmInjectionTest, AChangedInterruptFlagCountsAtOnce) {
  Begin(StiOutCode());
  ExpectOut(kFromGuest);
  ASSERT_TRUE(vcpu().interrupt_allowed());
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  general().rflags &= ~kRflagsIf;
  vcpu().registers().dirty = kGeneralRegisters;
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kBlocked);
  ExpectOut(kFromGuest);
  EXPECT_FALSE(vcpu().interrupt_allowed());
}

TEST_F(KvmInjectionTest, ASecondEventIsBusy) {
  Begin(StiOutCode());
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kOk);
  EXPECT_FALSE(vcpu().interrupt_allowed());
  EXPECT_EQ(vcpu().inject_irq(0x31), InjectResult::kBusy);
  EXPECT_EQ(vcpu().inject_nmi(), InjectResult::kBusy);
  EXPECT_EQ(
      vcpu().inject_exception({.kind = EventKind::kException, .vector = 6}),
      InjectResult::kBusy);
  ExpectOut(kFromHandler);
  ExpectOut(kFromGuest);
  ExpectOut(kFromGuest);
}

TEST_F(KvmInjectionTest, AnEntryThatDidNotHappenLeavesItOnItsWay) {
  Begin(StiOutCode());
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kOk);
  vcpu().kick_handle().Kick();
  ASSERT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
  EXPECT_EQ(vcpu().inject_irq(0x31), InjectResult::kBusy);
  EXPECT_FALSE(vcpu().interrupt_allowed());
  ExpectOut(kFromHandler);
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_irq(0x31), InjectResult::kOk);
  ExpectOut(kFromHandler);
}

TEST_F(KvmInjectionTest, WrongVectorsAreInvalid) {
  Begin(StiOutCode());
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_irq(0), InjectResult::kInvalid);
  EXPECT_EQ(vcpu().inject_irq(15), InjectResult::kInvalid);
  for (const int vector : {2, 32, 255}) {
    EXPECT_EQ(
        vcpu().inject_exception({.kind = EventKind::kException,
                                 .vector = static_cast<std::uint8_t>(vector)}),
        InjectResult::kInvalid);
  }
  EXPECT_EQ(vcpu().inject_exception({.kind = EventKind::kIrq, .vector = 6}),
            InjectResult::kInvalid);
  ExpectOut(kFromGuest);
}

TEST_F(KvmInjectionTest, CancelTakesAnInterruptBack) {
  Begin(StiOutCode());
  ExpectOut(kFromGuest);
  Event event;
  EXPECT_FALSE(vcpu().cancel_injection(&event));
  EXPECT_EQ(vcpu().inject_irq(0x37), InjectResult::kOk);
  ASSERT_TRUE(vcpu().cancel_injection(&event));
  EXPECT_EQ(event.kind, EventKind::kIrq);
  EXPECT_EQ(event.vector, 0x37);
  EXPECT_FALSE(vcpu().cancel_injection(&event)) << "only once";
  EXPECT_TRUE(vcpu().interrupt_allowed());
  ExpectOut(kFromGuest);
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_irq(0x38), InjectResult::kOk);
  ExpectOut(kFromHandler);
  EXPECT_FALSE(vcpu().cancel_injection(&event)) << "it was delivered";
}

TEST_F(KvmInjectionTest, CancelTakesNmiAndExceptionBack) {
  Begin(StiOutCode());
  ExpectOut(kFromGuest);
  Event event;
  EXPECT_EQ(vcpu().inject_nmi(), InjectResult::kOk);
  ASSERT_TRUE(vcpu().cancel_injection(&event));
  EXPECT_EQ(event.kind, EventKind::kNmi);
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_exception({.kind = EventKind::kException,
                                     .vector = 13,
                                     .has_error_code = true,
                                     .error_code = 0x18}),
            InjectResult::kOk);
  ASSERT_TRUE(vcpu().cancel_injection(&event));
  EXPECT_EQ(event.kind, EventKind::kException);
  EXPECT_EQ(event.vector, 13);
  EXPECT_TRUE(event.has_error_code);
  EXPECT_EQ(event.error_code, 0x18u);
  ExpectOut(kFromGuest);
}

TEST_F(KvmInjectionTest, AnNmiComesThroughWithInterruptsOff) {
  Begin(CliOutCode());
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_nmi(), InjectResult::kOk);
  ExpectOut(kFromHandler);
  ExpectOut(kFromGuest);
}

TEST_F(KvmInjectionTest, AnNmiInTheHandlerWaitsForItsEnd) {
  Begin(CliOutCode());
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_nmi(), InjectResult::kOk);
  ExpectOut(kFromHandler);
  vcpu().request_nmi_window(true);  // the engine queues: nothing to ask for
  EXPECT_EQ(vcpu().inject_nmi(), InjectResult::kOk);
  // An engine that emulates may notice the end of the handler a little late.
  int handled = 0;
  for (int i = 0; i < 10; ++i) {
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo);
    if (exit.io.port == kFromHandler) ++handled;
  }
  EXPECT_EQ(handled, 1);
}

TEST_F(KvmInjectionTest, AnExceptionBringsItsErrorCode) {
  Begin(StiOutCode());
  Load(kHandlerGpa + 0x100, ErrorHandlerCode());
  SetGate(13, kHandlerGpa + 0x100);
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_exception({.kind = EventKind::kException,
                                     .vector = 13,
                                     .has_error_code = true,
                                     .error_code = 0x5A18}),
            InjectResult::kOk);
  const Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kIo);
  EXPECT_EQ(exit.io.port, kFromHandler);
  EXPECT_EQ(*static_cast<std::uint32_t*>(exit.io.data), 0x5A18u);
}

TEST_F(KvmInjectionTest, AnExceptionWithoutErrorCode) {
  Begin(CliOutCode());
  ExpectOut(kFromGuest);
  EXPECT_EQ(
      vcpu().inject_exception({.kind = EventKind::kException, .vector = 6}),
      InjectResult::kOk);
  ExpectOut(kFromHandler);
  ExpectOut(kFromGuest);
}

TEST_F(KvmInjectionTest, TheWindowOpensOnceAndNotBefore) {
  Begin(LaterCode());
  vcpu().request_irq_window(true);
  ExpectOut(kFromGuest);
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kBlocked);
  ExpectOut(kFromGuest);
  ExpectOut(kFromGuest);
  const Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kIrqWindow);
  ASSERT_TRUE(vcpu().interrupt_allowed());
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kOk);
  ExpectOut(kFromHandler);
  // Spent: what follows is a kick, not another window.
  std::thread kicker([handle = vcpu().kick_handle()] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    handle.Kick();
  });
  EXPECT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
  kicker.join();
}

TEST_F(KvmInjectionTest, AWithdrawnWindowDoesNotOpen) {
  Begin(LaterCode());
  vcpu().request_irq_window(true);
  ExpectOut(kFromGuest);
  vcpu().request_irq_window(false);
  ExpectOut(kFromGuest);
  ExpectOut(kFromGuest);
  std::thread kicker([handle = vcpu().kick_handle()] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    handle.Kick();
  });
  EXPECT_EQ(vcpu().run().reason, ExitReason::kInterrupted);
  kicker.join();
}

TEST_F(KvmInjectionTest, AnInterruptWakesFromHlt) {
  Begin(HltOnCode());
  ASSERT_EQ(Run().reason, ExitReason::kHlt);
  ASSERT_TRUE(vcpu().interrupt_allowed());
  EXPECT_EQ(vcpu().inject_irq(0x30), InjectResult::kOk);
  ExpectOut(kFromHandler);
  ExpectOut(kFromGuest);
}

}  // namespace
}  // namespace worldswitch
