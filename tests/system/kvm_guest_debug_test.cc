// Single step, breakpoints and watchpoints on the real /dev/kvm. What an engine
// lacks shows in what it answers, and that is why a test skips.

#include <cerrno>

#include "core/features/guest_debug.h"
#include "guests/guests.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

constexpr std::uint16_t kPort = 0xe0;
constexpr std::uint64_t kWatchedGpa = 0x30000;
constexpr std::uint32_t kDbVector = 1;
constexpr std::uint32_t kBpVector = 3;
constexpr std::uint64_t kDr6SingleStep = 1u << 14;

// Bytes:     0    1    2              4    5
WS_GUEST(FiveSteps,
         "nop\n"
         "nop\n"
         "inc %ebx\n"
         "nop\n"
         "out %al, $0xe0\n"
         "nop\n"
         "out %al, $0xe0\n");

// A store to kWatchedGpa between two NOPs, then a load from it.
WS_GUEST(StoreAndLoad,
         "mov $0x30000, %esi\n"
         "nop\n"
         "mov %eax, (%rsi)\n"
         "nop\n"
         "mov (%rsi), %eax\n"
         "nop\n"
         "out %al, $0xe0\n");
constexpr std::uint64_t kBehindStore = kCodeGpa + 8;
constexpr std::uint64_t kBehindLoad = kCodeGpa + 11;

class KvmGuestDebugTest : public KvmTest {
 protected:
  void SetUp() override {
    KvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    MakeVm();
    debug_ = FeatureOf<GuestDebug>(*vm_);
    if (debug_ == nullptr) {
      GTEST_SKIP() << "the engine lacks KVM_CAP_SET_GUEST_DEBUG";
    }
  }

  Exit Run() {
    Watchdog watchdog(vcpu().kick_handle());
    Exit exit = vcpu().run();
    while (exit.reason == ExitReason::kInterrupted && !watchdog.fired()) {
      exit = vcpu().run();
    }
    return exit;
  }
  void ExpectOut() {
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.io.port, kPort);
  }
  void ExpectDebug(const Exit& exit, std::uint32_t vector, std::uint64_t pc) {
    ASSERT_EQ(exit.reason, ExitReason::kDebug) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.debug.exception, vector);
    EXPECT_EQ(exit.debug.pc, pc);
  }
  static DebugRequest One(std::uint64_t address, BreakpointKind kind,
                          std::uint8_t length) {
    DebugRequest request;
    request.hardware_count = 1;
    request.hardware[0] = {.address = address, .kind = kind, .length = length};
    return request;
  }

  GuestDebug* debug_ = nullptr;
};

TEST_F(KvmGuestDebugTest, EveryInstructionIsAStep) {
  Start(FiveStepsCode());
  ASSERT_EQ(debug_->set(0, {.single_step = true}), Result::kOk)
      << debug_->last_error();
  for (const std::uint64_t behind : {1, 2, 4, 5}) {
    const Exit exit = Run();
    ExpectDebug(exit, kDbVector, kCodeGpa + behind);
    EXPECT_NE(exit.debug.dr6 & kDr6SingleStep, 0u);
  }
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rbx, 1u);
  EXPECT_EQ(general().rflags & 0x100, 0u) << "TF is not the guest's";
  // An OUT is an exit; whether there is a step behind it as well is the
  // engine's choice.
  ExpectOut();
  const Exit exit = Run();
  ASSERT_EQ(exit.reason, ExitReason::kDebug) << ExitReasonName(exit.reason);
  EXPECT_TRUE(exit.debug.pc == kCodeGpa + 7 || exit.debug.pc == kCodeGpa + 8)
      << exit.debug.pc;
  ASSERT_EQ(debug_->set(0, {}), Result::kOk);
  ExpectOut();
}

// The same at CPL 3, where engines may run the guest in another way.
TEST_F(KvmGuestDebugTest, EveryInstructionIsAStepAtCpl3) {
  const std::vector<unsigned char> code = FiveStepsCode();
  ASSERT_EQ(LoadCode(*vm_, 0, GuestMode::kRing3, code.data(),
                     static_cast<std::uint32_t>(code.size())),
            Result::kOk);
  const std::uint64_t begin = general().rip;
  ASSERT_EQ(debug_->set(0, {.single_step = true}), Result::kOk);
  for (const std::uint64_t behind : {1, 2, 4, 5}) {
    const Exit exit = Run();
    if (exit.reason == ExitReason::kDebug && exit.debug.pc < begin) {
      // It steps through the guest's own handler.
      ASSERT_EQ(vcpu().fetch_registers(kSpecialRegisters), Result::kOk);
      EXPECT_EQ(vcpu().registers().special.cs.selector & 3, 0);
      GTEST_SKIP() << "the engine takes the request (KVM_SET_GUEST_DEBUG "
                      "answers 0), and delivers the #DB to the guest";
    }
    ExpectDebug(exit, kDbVector, begin + behind);
  }
}

TEST_F(KvmGuestDebugTest, SteppingBeginsBehindTheExitTheVcpuIsIn) {
  Start(FiveStepsCode());
  ExpectOut();
  ASSERT_EQ(debug_->set(0, {.single_step = true}), Result::kOk);
  ExpectDebug(Run(), kDbVector, kCodeGpa + 8);
}

TEST_F(KvmGuestDebugTest, SteppingGoesOnBehindRegistersThatWereSet) {
  Start(FiveStepsCode());
  ASSERT_EQ(debug_->set(0, {.single_step = true}), Result::kOk);
  ExpectDebug(Run(), kDbVector, kCodeGpa + 1);
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  general().rip = kCodeGpa + 4;
  vcpu().registers().dirty = kGeneralRegisters;
  ASSERT_EQ(debug_->set(0, {.single_step = true}), Result::kOk);
  ExpectDebug(Run(), kDbVector, kCodeGpa + 5);
}

TEST_F(KvmGuestDebugTest, ExecutionBreakpointStopsBeforeItsInstruction) {
  Start(FiveStepsCode());
  constexpr std::uint64_t kInc = kCodeGpa + 2;
  ASSERT_EQ(debug_->set(0, One(kInc, BreakpointKind::kExecute, 1)),
            Result::kOk);
  for (int i = 0; i < 2; ++i) {
    // It stays there until it is taken away.
    const Exit exit = Run();
    ExpectDebug(exit, kDbVector, kInc);
    EXPECT_EQ(exit.debug.dr6 & 0xF, 1u);
  }
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rip, kInc);
  EXPECT_EQ(general().rbx, 0u);
  ASSERT_EQ(debug_->set(0, {}), Result::kOk);
  ExpectOut();
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rbx, 1u);
}

TEST_F(KvmGuestDebugTest, FourBreakpointsAreToldApart) {
  Start(FiveStepsCode());
  DebugRequest request;
  constexpr std::uint64_t kAt[] = {kCodeGpa + 8, kCodeGpa + 4, kCodeGpa + 2,
                                   kCodeGpa + 1};
  for (const std::uint64_t address : kAt) {
    request.hardware[request.hardware_count++].address = address;
  }
  // The last one comes first; each is taken away when it was met.
  for (std::uint32_t left = kHardwareBreakpoints; left > 0; --left) {
    request.hardware_count = left;
    ASSERT_EQ(debug_->set(0, request), Result::kOk);
    Exit exit = Run();
    if (exit.reason == ExitReason::kIo) exit = Run();
    ExpectDebug(exit, kDbVector, kAt[left - 1]);
    EXPECT_EQ(exit.debug.dr6 & 0xF, 1u << (left - 1));
  }
}

TEST_F(KvmGuestDebugTest, WatchpointsExitBehindTheAccess) {
  Start(StoreAndLoadCode());
  ASSERT_EQ(debug_->set(0, One(kWatchedGpa, BreakpointKind::kWrite, 4)),
            Result::kOk);
  const Exit exit = Run();
  if (exit.reason == ExitReason::kIo) {
    GTEST_SKIP() << "the engine took the watchpoint (KVM_SET_GUEST_DEBUG "
                    "answers 0), and the store went by it";
  }
  ExpectDebug(exit, kDbVector, kBehindStore);
  EXPECT_EQ(exit.debug.dr6 & 0xF, 1u);
  ASSERT_EQ(debug_->set(0, One(kWatchedGpa, BreakpointKind::kReadWrite, 4)),
            Result::kOk);
  ExpectDebug(Run(), kDbVector, kBehindLoad);
  ASSERT_EQ(debug_->set(0, {}), Result::kOk);
  ExpectOut();
}

TEST_F(KvmGuestDebugTest, SoftwareBreakpointStopsAtItsInstruction) {
  Start(FiveStepsCode());
  constexpr std::uint64_t kInc = kCodeGpa + 2;
  ASSERT_EQ(debug_->insert_breakpoint(kInc), Result::kOk);
  EXPECT_EQ(Read<std::uint8_t>(kInc), 0xCC);
  ASSERT_EQ(debug_->set(0, {.software_breakpoints = true}), Result::kOk);
  const Exit exit = Run();
  if (exit.reason == ExitReason::kInternalError) {
    GTEST_SKIP() << "the engine took the request (KVM_SET_GUEST_DEBUG answers "
                    "0), and gives up on INT3 (KVM_EXIT_INTERNAL_ERROR, "
                    "suberror "
                 << exit.internal_error.suberror << ")";
  }
  ExpectDebug(exit, kBpVector, kInc);
  // Remove, step, insert.
  ASSERT_EQ(debug_->remove_breakpoint(kInc), Result::kOk);
  ASSERT_EQ(debug_->set(0, {.single_step = true}), Result::kOk);
  ExpectDebug(Run(), kDbVector, kInc + 2);
  ASSERT_EQ(debug_->insert_breakpoint(kInc), Result::kOk);
  ASSERT_EQ(debug_->set(0, {.software_breakpoints = true}), Result::kOk);
  ExpectOut();
}

TEST_F(KvmGuestDebugTest, InsertedBreakpointsGiveTheirByteBack) {
  Start(FiveStepsCode());
  const auto before = Read<std::uint8_t>(kCodeGpa + 2);
  ASSERT_EQ(debug_->insert_breakpoint(kCodeGpa + 2), Result::kOk);
  EXPECT_EQ(debug_->insert_breakpoint(kCodeGpa + 2), Result::kError);
  EXPECT_EQ(debug_->last_error(), EEXIST);
  ASSERT_EQ(debug_->remove_breakpoint(kCodeGpa + 2), Result::kOk);
  EXPECT_EQ(Read<std::uint8_t>(kCodeGpa + 2), before);
  EXPECT_EQ(debug_->remove_breakpoint(kCodeGpa + 2), Result::kError);
  EXPECT_EQ(debug_->last_error(), ENOENT);
  EXPECT_EQ(debug_->insert_breakpoint(kMmioBase), Result::kError);
  EXPECT_EQ(debug_->last_error(), EFAULT);
  ExpectOut();
}

TEST_F(KvmGuestDebugTest, WhatIsNoBreakpointIsRefused) {
  Start(FiveStepsCode());
  const DebugRequest bad[] = {
      One(kWatchedGpa, BreakpointKind::kWrite, 3),
      One(kWatchedGpa + 1, BreakpointKind::kWrite, 2),
      One(kCodeGpa, BreakpointKind::kExecute, 2),
      {.single_step = false, .hardware = {}, .hardware_count = 5}};
  for (const DebugRequest& request : bad) {
    EXPECT_EQ(debug_->set(0, request), Result::kError);
    EXPECT_EQ(debug_->last_error(), EINVAL);
  }
  EXPECT_EQ(debug_->set(1, {}), Result::kError);
  EXPECT_EQ(debug_->last_error(), EINVAL);
  ExpectOut();
}

}  // namespace
}  // namespace worldswitch
