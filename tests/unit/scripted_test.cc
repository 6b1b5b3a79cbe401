// The scripted backend: what a script can say, what the vCPU writes down, and
// the clauses it keeps. Scripts as text are at the end.

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "backends/scripted/script_text.h"
#include "backends/scripted/scripted_backend.h"
#include "backends/scripted/scripted_vcpu.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::uint64_t kRflagsIf = 1 << 9;

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

// --- Exits and their data.

TEST(ScriptedVcpuTest, OutTellsPortSizeCountAndData) {  // RUN.2
  ScriptedVcpu vcpu(Script().Out(0x1f0, 2, {1, 2, 3, 4, 5, 6}).Raw(2));
  const Exit exit = vcpu.run();
  ASSERT_EQ(exit.reason, ExitReason::kIo);
  EXPECT_EQ(exit.raw, 2u);
  EXPECT_EQ(exit.io.port, 0x1f0);
  EXPECT_EQ(exit.io.size, 2);
  EXPECT_EQ(exit.io.count, 3u);
  EXPECT_TRUE(exit.io.is_write);
  EXPECT_EQ(std::memcmp(exit.io.data, "\1\2\3\4\5\6", 6), 0);
}

TEST(ScriptedVcpuTest, InIsCompletedByTheNextRun) {  // CMP.1, CMP.3
  ScriptedVcpu vcpu(Script()
                        .Register("rax", 0x1122'3344'5566'7788)
                        .In(0x60, 2)
                        .Expect({0xcd, 0xab})
                        .Length(1)
                        .Hlt());
  const Exit exit = vcpu.run();
  ASSERT_EQ(exit.reason, ExitReason::kIo);
  EXPECT_FALSE(exit.io.is_write);
  std::memcpy(exit.io.data, "\xcd\xab", 2);
  EXPECT_EQ(vcpu.guest_general().rax, 0x1122'3344'5566'7788u);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
  EXPECT_EQ(vcpu.guest_general().rax, 0x1122'3344'5566'abcdu);
  EXPECT_EQ(vcpu.guest_general().rip, 1u);
  EXPECT_THAT(vcpu.given(1), ElementsAre(0xcd, 0xab));
  EXPECT_THAT(vcpu.mismatches(), IsEmpty());
}

TEST(ScriptedVcpuTest, A32BitInClearsTheUpperHalfOfRax) {
  ScriptedVcpu vcpu(Script().Register("rax", ~std::uint64_t{0}).In(0x60, 4));
  std::memset(vcpu.run().io.data, 0, 4);
  vcpu.run();
  EXPECT_EQ(vcpu.guest_general().rax, 0u);
}

TEST(ScriptedVcpuTest, FetchCompletesTheExitFirstAndOnce) {  // CMP.2, CMP.3
  ScriptedVcpu vcpu(Script().In(0x60, 1).Length(2).Hlt());
  std::memset(vcpu.run().io.data, 0x1c, 1);
  ASSERT_EQ(vcpu.fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(vcpu.registers().general.rax, 0x1cu);
  EXPECT_EQ(vcpu.registers().general.rip, 2u);
  ASSERT_EQ(vcpu.fetch_registers(kAllRegisters), Result::kOk);
  vcpu.run();
  EXPECT_EQ(vcpu.guest_general().rip, 2u);
}

TEST(ScriptedVcpuTest, RdmsrTakesAValueOrAGeneralProtectionFault) {
  ScriptedVcpu vcpu(Script()
                        .Rdmsr(0x10)
                        .ExpectValue(0x1'0000'0002)
                        .Rdmsr(0x11)
                        .ExpectGp()
                        .Wrmsr(0x12, 77)
                        .ExpectGp()
                        .Hlt());
  Exit exit = vcpu.run();
  ASSERT_EQ(exit.reason, ExitReason::kRdmsr);
  EXPECT_EQ(exit.msr.index, 0x10u);
  *exit.msr.data = 0x1'0000'0002;
  exit = vcpu.run();
  EXPECT_EQ(vcpu.guest_general().rax, 2u);
  EXPECT_EQ(vcpu.guest_general().rdx, 1u);
  EXPECT_EQ(exit.msr.index, 0x11u);
  *exit.msr.inject_gp = 1;
  exit = vcpu.run();
  ASSERT_EQ(exit.reason, ExitReason::kWrmsr);
  EXPECT_EQ(*exit.msr.data, 77u);
  EXPECT_EQ(*exit.msr.inject_gp, 0);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
  EXPECT_TRUE(vcpu.raised_gp(1));
  EXPECT_FALSE(vcpu.raised_gp(2));
  ASSERT_THAT(vcpu.mismatches(), SizeIs(1));
  EXPECT_EQ(vcpu.mismatches()[0].step, 2u);
  EXPECT_THAT(Message(vcpu.Verify()),
              HasSubstr("step 2 (Wrmsr): expected #GP"));
}

TEST(ScriptedVcpuTest, HypercallsCarryArgumentsAndTakeAResult) {
  ScriptedVcpu vcpu(Script().Hypercall(9, {10, 11}).ExpectValue(5).Hlt());
  const Exit exit = vcpu.run();
  ASSERT_EQ(exit.reason, ExitReason::kHypercall);
  EXPECT_EQ(exit.hypercall.number, 9u);
  ASSERT_EQ(exit.hypercall.argument_count, 2u);
  EXPECT_EQ(exit.hypercall.arguments[1], 11u);
  *exit.hypercall.result = 5;
  vcpu.run();
  EXPECT_EQ(vcpu.guest_general().rax, 5u);
  EXPECT_TRUE(vcpu.Verify().ok()) << vcpu.Verify();
}

TEST(ScriptedVcpuTest, AnUnknownCodeIsDataWithItsRawCode) {  // RUN.6
  ScriptedVcpu vcpu(Script().Unknown(0xdead'beef'0001));
  const Exit exit = vcpu.run();
  EXPECT_EQ(exit.reason, ExitReason::kUnknown);
  EXPECT_EQ(exit.raw, 0xdead'beef'0001u);
}

TEST(ScriptedVcpuTest, AnyExitCanBeRaisedWithItsPayload) {
  Exit fault = BlankExit(ExitReason::kMemoryFault);
  fault.memory_fault = {
      .gpa = 0x1000, .size = 4096, .flags = 8, .error_number = EHWPOISON};
  ScriptedVcpu vcpu(Script().Raise(fault));
  const Exit exit = vcpu.run();
  EXPECT_EQ(exit.reason, ExitReason::kMemoryFault);
  EXPECT_EQ(exit.memory_fault.gpa, 0x1000u);
  EXPECT_EQ(exit.memory_fault.error_number, EHWPOISON);
}

TEST(ScriptedVcpuTest, EveryRunPastTheEndSaysSo) {
  ScriptedVcpu vcpu(Script().Hlt());
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
  for (int i = 0; i < 3; ++i) {
    const Exit exit = vcpu.run();
    EXPECT_EQ(exit.reason, ExitReason::kError);
    EXPECT_EQ(exit.raw, kEndOfScript);
    EXPECT_EQ(exit.error.error_number, ENODATA);
    EXPECT_EQ(vcpu.last_error(), ENODATA);
  }
  EXPECT_EQ(vcpu.entries(), 1u);
}

TEST(ScriptedVcpuTest, TimesPlaysAStepAgainWithItsOwnData) {
  ScriptedVcpu vcpu(Script().Out(1, 1, {7}).Times(3).Hlt());
  for (int i = 0; i < 3; ++i) {
    const Exit exit = vcpu.run();
    ASSERT_EQ(exit.reason, ExitReason::kIo);
    auto* data = static_cast<std::uint8_t*>(exit.io.data);
    EXPECT_EQ(*data, 7);
    *data = 99;  // the caller's mischief does not last
  }
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
}

TEST(ScriptedVcpuTest, DetailsAreThoseOfTheExit) {
  ScriptedVcpu vcpu(Script()
                        .Register("rip", 0x7c00)
                        .Interrupts(true)
                        .Shadow(true)
                        .MmioRead(0xfee0'0000, 4)
                        .Length(3)
                        .Qualification(0x181)
                        .Info1(5)
                        .Hlt());
  EXPECT_FALSE(vcpu.exit_detail(ExitDetail::kRip).known);
  vcpu.run();
  const auto detail = [&vcpu](ExitDetail what) -> std::optional<std::uint64_t> {
    const OptionalValue value = vcpu.exit_detail(what);
    return value.known ? std::optional(value.value) : std::nullopt;
  };
  EXPECT_EQ(detail(ExitDetail::kRip), 0x7c00u);
  EXPECT_EQ(detail(ExitDetail::kInstructionLength), 3u);
  EXPECT_EQ(detail(ExitDetail::kRflags), kRflagsIf | 2);
  EXPECT_EQ(detail(ExitDetail::kInterruptFlag), 1u);
  EXPECT_EQ(detail(ExitDetail::kInterruptShadow), 1u);
  EXPECT_EQ(detail(ExitDetail::kGuestPhysicalAddress), 0xfee0'0000u);
  EXPECT_EQ(detail(ExitDetail::kVmxQualification), 0x181u);
  EXPECT_EQ(detail(ExitDetail::kSvmInfo1), 5u);
  EXPECT_EQ(detail(ExitDetail::kSvmInfo2), std::nullopt);
  vcpu.run();
  EXPECT_EQ(detail(ExitDetail::kRip), 0x7c03u);
  EXPECT_EQ(detail(ExitDetail::kInstructionLength), std::nullopt);
  EXPECT_EQ(detail(ExitDetail::kGuestPhysicalAddress), std::nullopt);
}

// --- Registers.

TEST(ScriptedVcpuTest, DirtyRegistersReachTheGuestWithTheNextRun) {  // REG.3
  ScriptedVcpu vcpu(Script().Hlt().Hlt());
  vcpu.run();
  ASSERT_EQ(vcpu.fetch_registers(kGeneralRegisters), Result::kOk);
  vcpu.registers().general.rbx = 42;
  vcpu.registers().dirty = kGeneralRegisters;
  EXPECT_EQ(vcpu.guest_general().rbx, 0u);
  vcpu.run();
  EXPECT_EQ(vcpu.guest_general().rbx, 42u);
  EXPECT_EQ(vcpu.registers().dirty, kNoRegisters);
  EXPECT_EQ(vcpu.registers().cached, kNoRegisters);
  EXPECT_EQ(vcpu.commits(), 1u);
}

TEST(ScriptedVcpuTest, CommittedRegistersReachTheGuestAtOnce) {  // REG.1, REG.2
  ScriptedVcpu vcpu(Script().Hlt());
  ASSERT_EQ(vcpu.fetch_registers(kAllRegisters), Result::kOk);
  vcpu.registers().special.cr3 = 0x5000;
  vcpu.registers().general.rflags |= kRflagsIf;
  vcpu.registers().dirty = kAllRegisters;
  EXPECT_FALSE(vcpu.interrupt_allowed());
  ASSERT_EQ(vcpu.commit_registers(), Result::kOk);
  EXPECT_EQ(vcpu.guest_special().cr3, 0x5000u);
  EXPECT_TRUE(vcpu.interrupt_allowed());
}

TEST(ScriptedVcpuTest, FetchKeepsWhatTheCallerMadeDirty) {
  ScriptedVcpu vcpu(Script().Hlt());
  vcpu.fetch_registers(kGeneralRegisters);
  vcpu.registers().general.rbx = 42;
  vcpu.registers().dirty = kGeneralRegisters;
  vcpu.fetch_registers(kAllRegisters);
  EXPECT_EQ(vcpu.registers().general.rbx, 42u);
}

TEST(ScriptedVcpuTest, WantedGroupsAreCachedUnlessTheExitIsIncomplete) {
  // REG.4
  ScriptedVcpu vcpu(Script().Hlt().Register("rcx", 3).In(0x60, 1).Hlt());
  vcpu.registers().wanted = kGeneralRegisters;
  vcpu.run();
  EXPECT_EQ(vcpu.registers().cached, kGeneralRegisters);
  EXPECT_EQ(vcpu.registers().general.rcx, 0u);
  vcpu.run();
  EXPECT_EQ(vcpu.registers().cached, kNoRegisters);
  vcpu.run();
  EXPECT_EQ(vcpu.registers().cached, kGeneralRegisters);
  EXPECT_EQ(vcpu.registers().general.rcx, 3u);
}

TEST(ScriptedVcpuTest, ARefusedCommitLeavesTheStateItHad) {  // REG.5
  ScriptedVcpu vcpu(Script().Commit(EINVAL).Hlt());
  vcpu.fetch_registers(kGeneralRegisters);
  vcpu.registers().general.rbx = 42;
  vcpu.registers().dirty = kGeneralRegisters;
  EXPECT_EQ(vcpu.commit_registers(), Result::kError);
  EXPECT_EQ(vcpu.last_error(), EINVAL);
  EXPECT_EQ(vcpu.guest_general().rbx, 0u);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
  // The same through run.
  vcpu.fetch_registers(kGeneralRegisters);
  vcpu.registers().dirty = kGeneralRegisters;
  const Exit exit = vcpu.run();
  EXPECT_EQ(exit.reason, ExitReason::kError);
  EXPECT_EQ(exit.error.error_number, EINVAL);
}

TEST(ScriptedVcpuTest, OnlyWhatIsCachedMayBeDirty) {
  ScriptedVcpu vcpu(Script().Hlt());
  vcpu.registers().dirty = kSpecialRegisters;
  EXPECT_EQ(vcpu.commit_registers(), Result::kError);
  EXPECT_EQ(vcpu.last_error(), EINVAL);
}

// --- Events and windows.

TEST(ScriptedVcpuTest, InjectionAnswersAsTheGuestsStateSays) {
  // INJ.1, INJ.2, INJ.3, INJ.7
  ScriptedVcpu vcpu(Script().Hlt().Interrupts(true).Hlt().Hlt());
  EXPECT_EQ(vcpu.inject_irq(15), InjectResult::kInvalid);
  EXPECT_EQ(vcpu.inject_irq(16), InjectResult::kBlocked);
  EXPECT_FALSE(vcpu.interrupt_allowed());
  vcpu.run();
  vcpu.run();
  EXPECT_TRUE(vcpu.interrupt_allowed());
  EXPECT_EQ(vcpu.inject_irq(255), InjectResult::kOk);
  EXPECT_FALSE(vcpu.interrupt_allowed());
  EXPECT_EQ(vcpu.inject_irq(16), InjectResult::kBusy);
  EXPECT_EQ(vcpu.inject_nmi(), InjectResult::kBusy);
  vcpu.run();
  ASSERT_THAT(vcpu.deliveries(), SizeIs(1));
  EXPECT_EQ(vcpu.deliveries()[0].entry, 3u);
  EXPECT_EQ(vcpu.deliveries()[0].event.vector, 255);
}

TEST(ScriptedVcpuTest, ExceptionsKeepTheirErrorCodeAndTheirRange) {
  // INJ.6, INJ.7
  ScriptedVcpu vcpu(Script().Hlt());
  const auto exception = [](std::uint8_t vector) {
    return Event{.kind = EventKind::kException,
                 .vector = vector,
                 .has_error_code = true,
                 .error_code = 0xabc};
  };
  EXPECT_EQ(vcpu.inject_exception(exception(2)), InjectResult::kInvalid);
  EXPECT_EQ(vcpu.inject_exception(exception(32)), InjectResult::kInvalid);
  EXPECT_EQ(vcpu.inject_exception({.kind = EventKind::kIrq, .vector = 14}),
            InjectResult::kInvalid);
  EXPECT_EQ(vcpu.inject_exception(exception(13)), InjectResult::kOk);
  vcpu.run();
  ASSERT_THAT(vcpu.deliveries(), SizeIs(1));
  EXPECT_EQ(vcpu.deliveries()[0].event.error_code, 0xabcu);
}

TEST(ScriptedVcpuTest, CancelTakesBackWhatIsNotDelivered) {  // INJ.4
  ScriptedVcpu vcpu(Script().Interrupts(true).Hlt());
  Event event;
  EXPECT_FALSE(vcpu.cancel_injection(&event));
  ASSERT_EQ(vcpu.inject_irq(0x40), InjectResult::kOk);
  ASSERT_TRUE(vcpu.cancel_injection(&event));
  EXPECT_EQ(event.kind, EventKind::kIrq);
  EXPECT_EQ(event.vector, 0x40);
  EXPECT_FALSE(vcpu.cancel_injection(&event));
  vcpu.run();
  EXPECT_THAT(vcpu.deliveries(), IsEmpty());
}

TEST(ScriptedVcpuTest, AnInterruptedDeliveryCanBeTakenBackOrGoesInAgain) {
  const Script script = Script()
                            .Interrupts(true)
                            .Raise(BlankExit(ExitReason::kPageFault))
                            .Undelivered()
                            .Hlt();
  ScriptedVcpu again(script);
  again.inject_irq(0x40);
  const Exit interrupted = again.run();
  ASSERT_TRUE(interrupted.for_backend);
  EXPECT_EQ(again.handle_exit(interrupted), Disposition::kToCaller);
  EXPECT_THAT(again.deliveries(), IsEmpty());
  EXPECT_EQ(again.inject_irq(0x50), InjectResult::kBusy);
  again.run();
  ASSERT_THAT(again.deliveries(), SizeIs(1));
  EXPECT_EQ(again.deliveries()[0].event.vector, 0x40);

  ScriptedVcpu taken(script);
  taken.inject_irq(0x40);
  taken.run();
  Event event;
  EXPECT_TRUE(taken.cancel_injection(&event));
  EXPECT_EQ(event.vector, 0x40);
}

TEST(ScriptedVcpuTest, TheWindowOpensWithTheGuestAndNotBefore) {
  // WIN.1, WIN.2
  ScriptedVcpu vcpu(
      Script().Hlt().Shadow(true).Interrupts(true).Hlt().Shadow(false).Hlt());
  vcpu.request_irq_window(true);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kIrqWindow);
  EXPECT_FALSE(vcpu.irq_window_wanted());
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
  EXPECT_EQ(vcpu.irq_window_requests(), 1u);
}

TEST(ScriptedVcpuTest, AWindowCanBeWithdrawn) {  // WIN.2
  ScriptedVcpu vcpu(Script().Hlt().Interrupts(true).Nmis(true).Hlt());
  vcpu.request_irq_window(true);
  vcpu.request_nmi_window(true);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kNmiWindow);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
  vcpu.request_irq_window(false);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
}

TEST(ScriptedVcpuTest, WhatDoesNotEnterDeliversNothingAndOpensNoWindow) {
  ScriptedVcpu vcpu(Script()
                        .Interrupts(true)
                        .Raise(MakeExit(ExitReason::kRetry, 0, EAGAIN))
                        .Raise(BlankExit(ExitReason::kEntryFailure))
                        .Hlt());
  vcpu.inject_irq(0x40);
  vcpu.request_irq_window(true);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kRetry);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kEntryFailure);
  EXPECT_EQ(vcpu.entries(), 0u);
  EXPECT_THAT(vcpu.deliveries(), IsEmpty());
  EXPECT_EQ(vcpu.run().reason, ExitReason::kIrqWindow);
  EXPECT_THAT(vcpu.deliveries(), SizeIs(1));
}

// --- Kicks.

TEST(ScriptedVcpuTest, KicksBeforeARunReturnOnceWithoutAnEntry) {
  // KICK.1, KICK.3
  ScriptedVcpu vcpu(Script().Interrupts(true).Hlt());
  const KickHandle handle = vcpu.kick_handle();
  ASSERT_EQ(vcpu.inject_irq(0x40), InjectResult::kOk);
  handle.Kick();
  handle.Kick();
  const Exit exit = vcpu.run();
  EXPECT_EQ(exit.reason, ExitReason::kInterrupted);
  EXPECT_EQ(exit.error.error_number, EINTR);
  EXPECT_EQ(vcpu.entries(), 0u);
  // What was accepted waits on.
  EXPECT_THAT(vcpu.deliveries(), IsEmpty());
  EXPECT_EQ(vcpu.inject_irq(0x41), InjectResult::kBusy);
  EXPECT_EQ(vcpu.run().reason, ExitReason::kHlt);
  EXPECT_THAT(vcpu.deliveries(), SizeIs(1));
}

TEST(ScriptedVcpuTest, AKickEndsASpin) {  // KICK.2
  ScriptedVcpu vcpu(Script().Spin().Hlt());
  std::atomic<bool> is_done = false;
  std::thread other([&is_done, handle = vcpu.kick_handle()] {
    while (!is_done.load()) {
      handle.Kick();
      std::this_thread::yield();
    }
  });
  // Kicks also come before an entry; sooner or later one ends the spin, and the
  // guest gets to its HLT between two others.
  Exit exit = vcpu.run();
  for (; exit.reason == ExitReason::kInterrupted; exit = vcpu.run()) {
    if (vcpu.entries() == 1) is_done.store(true);
  }
  is_done.store(true);
  other.join();
  EXPECT_EQ(exit.reason, ExitReason::kHlt);
  EXPECT_EQ(vcpu.entries(), 2u);
}

TEST(ScriptedVcpuTest, AHandleMayOutliveItsVcpu) {  // KICK.4
  KickHandle handle;
  EXPECT_FALSE(handle);
  handle.Kick();
  {
    ScriptedVcpu vcpu(Script().Hlt());
    handle = vcpu.kick_handle();
  }
  EXPECT_TRUE(handle);
  handle.Kick();
  const KickHandle copy = handle;
  handle = KickHandle();
  copy.Kick();
}

// --- What a script refuses.

TEST(ScriptTest, RemembersTheFirstWrongStepAndLeavesItOut) {
  const Script script = Script().Hlt().Out(1, 3, {0}).In(1, 1).Times(0);
  EXPECT_THAT(Message(script.status()), HasSubstr("1, 2 or 4 bytes"));
  EXPECT_THAT(script.steps(), SizeIs(1));
}

TEST(ScriptTest, RefusesStepsThatCannotBe) {
  EXPECT_FALSE(Script().Out(1, 2, {0}).status().ok());
  EXPECT_FALSE(Script().Out(1, 1, {}).status().ok());
  EXPECT_FALSE(Script().In(1, 1, 0).status().ok());
  EXPECT_FALSE(Script().In(1, 4, 1025).status().ok());
  EXPECT_FALSE(Script().MmioRead(0, 9).status().ok());
  EXPECT_FALSE(Script().MmioWrite(0, {}).status().ok());
  EXPECT_FALSE(Script().Times(2).status().ok());
  EXPECT_FALSE(Script().Hlt().Times(0).status().ok());
  EXPECT_FALSE(Script().Hlt().Length(16).status().ok());
  EXPECT_FALSE(Script().Interrupts(true).Raw(1).status().ok());
  EXPECT_FALSE(Script().Hlt().Expect({1}).status().ok());
  EXPECT_FALSE(Script().Hlt().ExpectGp().status().ok());
  EXPECT_FALSE(Script().In(1, 1).Expect({1, 2}).status().ok());
  EXPECT_FALSE(Script().Register("eax", 1).status().ok());
  EXPECT_FALSE(
      Script().Raise(MakeExit(ExitReason::kRetry)).Undelivered().status().ok());
  // A handler would follow the null pointer.
  for (const ExitReason reason :
       {ExitReason::kIo, ExitReason::kMmio, ExitReason::kRdmsr,
        ExitReason::kWrmsr, ExitReason::kHyperv, ExitReason::kXen}) {
    EXPECT_FALSE(Script().Raise(BlankExit(reason)).status().ok())
        << ExitReasonName(reason);
  }
  EXPECT_FALSE(Script().Raise(BlankExit(ExitReason::kCount)).status().ok());
}

// --- Scripts as text.

TEST(ScriptTextTest, EveryKindOfStepCanBeWritten) {
  const absl::StatusOr<Script> script = ParseScript(R"(
# A comment, and an empty line

interrupts on   # so can this be
out port=0x3f8 size=1 data=6869 raw=2
in port=96 size=1 expect=1c length=2
mmio_read gpa=0xfee00000 size=4 expect=01020304
mmio_write gpa=0xfee00000 data=05060708 qualification=0x181 info1=1 info2=2
rdmsr index=0x10 expect=0x100000002
wrmsr index=0x11 value=7 expect_gp=1
hypercall number=5 arguments=1,0x2 expect=9
shadow off
nmis off
register name=rbx value=0x77
injection result=error errno=6
commit errno=22
exit reason=PageFault undelivered=1
unknown raw=0x999 times=2
exit reason=Retry errno=11
spin
hlt
)");
  ASSERT_TRUE(script.ok()) << script.status();
  using Kind = ScriptedStep::Kind;
  std::vector<Kind> kinds;
  for (const ScriptedStep& step : script->steps()) kinds.push_back(step.kind);
  EXPECT_THAT(kinds, ElementsAre(Kind::kInterrupts, Kind::kExit, Kind::kExit,
                                 Kind::kExit, Kind::kExit, Kind::kExit,
                                 Kind::kExit, Kind::kExit, Kind::kShadow,
                                 Kind::kNmis, Kind::kRegister, Kind::kInjection,
                                 Kind::kCommit, Kind::kExit, Kind::kExit,
                                 Kind::kExit, Kind::kSpin, Kind::kExit));
  const std::vector<ScriptedStep>& steps = script->steps();
  EXPECT_EQ(steps[0].line, 4);
  EXPECT_EQ(steps[1].exit.io.count, 2u);
  EXPECT_THAT(steps[1].data, ElementsAre('h', 'i'));
  EXPECT_EQ(steps[2].exit.io.port, 96);
  EXPECT_EQ(steps[4].info2.value, 2u);
  EXPECT_TRUE(steps[6].expects_gp);
  EXPECT_THAT(steps[7].arguments, ElementsAre(1, 2));
  EXPECT_EQ(steps[10].value, 0x77u);
  EXPECT_EQ(steps[11].error_number, 6);
  EXPECT_TRUE(steps[13].is_undelivered);
  EXPECT_EQ(steps[14].times, 2u);
  EXPECT_EQ(steps[15].exit.error.error_number, 11);
}

TEST(ScriptTextTest, ErrorsNameTheLineAndWhatWouldBeRight) {
  const auto error = [](const std::string& text) {
    const absl::StatusOr<Script> script = ParseScript(text);
    EXPECT_EQ(script.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(script.status().message());
  };
  EXPECT_THAT(
      error("hlt\nhalt"),
      AllOf(HasSubstr("line 2: "), HasSubstr("no step \"halt\""),
            HasSubstr("did you mean \"hlt\"?"), HasSubstr("mmio_read")));
  EXPECT_THAT(error("in port=1"), HasSubstr("line 1: size= is missing"));
  EXPECT_THAT(error("in port=65536 size=1"),
              HasSubstr("port=65536 is not a number from 0 to 65535"));
  EXPECT_THAT(error("in port=-1 size=1"), HasSubstr("port=-1 is not"));
  EXPECT_THAT(error("in port=0x size=1"), HasSubstr("port=0x is not"));
  EXPECT_THAT(error("in port=1 size=3"), HasSubstr("line 1: an I/O element"));
  EXPECT_THAT(error("out port=1 size=1 data=4"), HasSubstr("hex digits"));
  EXPECT_THAT(error("out port=1 size=1 data=zz"), HasSubstr("hex digits"));
  EXPECT_THAT(error("in port=1 size=1 exept=00"),
              AllOf(HasSubstr("no key \"exept\""),
                    HasSubstr("did you mean \"expect\"?")));
  EXPECT_THAT(error("in port=1 port=2"), HasSubstr("given twice"));
  EXPECT_THAT(error("hlt now"), HasSubstr("has no \"=\""));
  EXPECT_THAT(error("interrupts"), HasSubstr("on or off"));
  EXPECT_THAT(error("interrupts on off"), HasSubstr("once"));
  EXPECT_THAT(error("\n\nexit reason=pause"),
              AllOf(HasSubstr("line 3: "), HasSubstr("\"Pause\"?")));
  EXPECT_THAT(error("exit reason=Io"), HasSubstr("needs data"));
  EXPECT_THAT(error("exit reason=Pause errno=1"), HasSubstr("errno= is for"));
  EXPECT_THAT(error("injection result=maybe"), HasSubstr("unsupported, error"));
  EXPECT_THAT(error("register name=rxx value=1"), HasSubstr("no register"));
  EXPECT_THAT(error("hypercall number=1 arguments=1,x"), HasSubstr("\"x\""));
  EXPECT_THAT(error("hlt undelivered=perhaps"), HasSubstr("neither on"));
}

// --- The backend.

class ScriptFile {
 public:
  explicit ScriptFile(const std::string& text)
      : path_(std::filesystem::path(::testing::TempDir()) /
              (std::string(::testing::UnitTest::GetInstance()
                               ->current_test_info()
                               ->name()) +
               ".script")) {
    std::ofstream(path_) << text;
  }
  ~ScriptFile() { std::filesystem::remove(path_); }
  ScriptFile(const ScriptFile&) = delete;
  ScriptFile& operator=(const ScriptFile&) = delete;
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

absl::StatusOr<BackendRegistry::Opened> OpenScripted(const std::string& text) {
  BackendRegistry registry;
  EXPECT_TRUE(registry.Add(ScriptedBackendFactory()).ok());
  return registry.Open(text);
}

TEST(ScriptedBackendTest, PlaysAFileOnEveryVcpu) {
  const ScriptFile file("out port=1 size=1 data=2a\nhlt\n");
  auto opened = OpenScripted("scripted:script=" + file.path());
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_EQ(opened->backend->name(), "scripted");
  EXPECT_EQ(opened->backend->engine(), "none");
  auto vm =
      opened->backend->CreateVm({.needs = {.memory_bytes = 8192, .vcpus = 2},
                                 .backing = MemoryBacking::kAnonymous,
                                 .knobs = {}});
  ASSERT_TRUE(vm.ok()) << vm.status();
  EXPECT_EQ((*vm)->memory().size, 8192u);
  ASSERT_EQ((*vm)->vcpu_count(), 2u);
  for (std::uint32_t i = 0; i < 2; ++i) {
    EXPECT_EQ((*vm)->vcpu(i).run().reason, ExitReason::kIo);
    EXPECT_EQ((*vm)->vcpu(i).run().reason, ExitReason::kHlt);
  }
  EXPECT_TRUE((*vm)->has(Capability::kIrqWindow));
  EXPECT_FALSE((*vm)->has(Capability::kCounters));
  EXPECT_FALSE((*vm)->counter(Counter::kExits, 0).known);
}

TEST(ScriptedBackendTest, DiscardedMemoryReadsAsZeros) {
  auto vm = MakeScriptedBackend(Script().Hlt())->CreateVm({});
  ASSERT_TRUE(vm.ok()) << vm.status();
  *(*vm)->memory().At(4096, 1) = std::byte{7};
  EXPECT_EQ((*vm)->discard_memory(4096, 4096), Result::kOk);
  EXPECT_EQ(*(*vm)->memory().At(4096, 1), std::byte{0});
  EXPECT_EQ((*vm)->discard_memory(1, 1), Result::kError);
}

TEST(ScriptedBackendTest, IsNeverChosenUnasked) {
  EXPECT_EQ(OpenScripted("auto").status().code(), absl::StatusCode::kNotFound);
}

TEST(ScriptedBackendTest, SaysWhatIsWrongWithTheFile) {
  EXPECT_THAT(Message(OpenScripted("scripted").status()),
              HasSubstr("scripted:script=FILE"));
  EXPECT_THAT(Message(OpenScripted("scripted:script=/nowhere/at/all").status()),
              AllOf(HasSubstr("/nowhere/at/all"), HasSubstr("ENOENT")));
  EXPECT_THAT(
      Message(OpenScripted("scripted:script=" + ::testing::TempDir()).status()),
      HasSubstr("EIO"));
  const ScriptFile file("hlt\nhop\n");
  EXPECT_THAT(Message(OpenScripted("scripted:script=" + file.path()).status()),
              AllOf(HasSubstr(file.path()), HasSubstr("line 2: ")));
}

TEST(ScriptedBackendTest, RefusesWhatNoVmCanBe) {
  const auto backend = MakeScriptedBackend(Script().Hlt());
  VmConfig config;
  config.needs.vcpus = 0;
  EXPECT_FALSE(backend->CreateVm(config).ok());
  config = {};
  config.needs.memory_bytes = 1;
  EXPECT_FALSE(backend->CreateVm(config).ok());
  config = {};
  config.knobs = {{"registers", "sync"}};
  EXPECT_FALSE(backend->CreateVm(config).ok());
  const auto broken = MakeScriptedBackend(Script().Times(1));
  EXPECT_THAT(Message(broken->CreateVm({}).status()),
              HasSubstr("must follow an exit"));
}

TEST(ScriptedBackendTest, VerifyNamesTheLineOfTheFirstTrouble) {
  const absl::StatusOr<Script> script =
      ParseScript("hlt\nin port=1 size=2 expect=1c2d\nhlt\n");
  ASSERT_TRUE(script.ok());
  ScriptedVcpu vcpu(*script);
  EXPECT_THAT(Message(vcpu.Verify()), HasSubstr("line 1 is next"));
  vcpu.run();
  std::memset(vcpu.run().io.data, 0xff, 2);
  EXPECT_FALSE(vcpu.Verify().ok());
  vcpu.run();
  EXPECT_THAT(Message(vcpu.Verify()),
              AllOf(HasSubstr("line 2 (Io)"), HasSubstr("expected 1c2d"),
                    HasSubstr("gave ffff")));
}

}  // namespace
}  // namespace worldswitch
