// MSR accesses that come to the caller, and the MSR filter, on the real
// /dev/kvm.

#include <cerrno>

#include "core/features/msr_exits.h"
#include "tests/system/kvm_fixture.h"

namespace worldswitch {
namespace {

constexpr std::uint32_t kUnknownMsr = 0x4b5644ff;
constexpr std::uint32_t kTscAdjust = 0x3b;
constexpr std::uint8_t kGpVector = 13;
constexpr std::uint16_t kValuePort = 0xe0;
constexpr std::uint16_t kFaultPort = 0xe1;
constexpr std::uint64_t kPatternLow = 0x89abcdef;
constexpr std::uint64_t kPatternHigh = 0x01234567;

// RDMSR of ECX, then both halves to the port.
WS_GUEST(ReadMsr,
         "rdmsr\n"
         "out %eax, $0xe0\n"
         "mov %edx, %eax\n"
         "out %eax, $0xe0\n");

// WRMSR of a pattern to ECX, then a byte to the port.
WS_GUEST(WriteMsr,
         "mov $0x89abcdef, %eax\n"
         "mov $0x01234567, %edx\n"
         "wrmsr\n"
         "mov $1, %eax\n"
         "out %eax, $0xe0\n");

// What #GP leads to: its error code to the port.
WS_GUEST(GpHandler,
         "pop %rax\n"
         "out %eax, $0xe1\n");

class KvmMsrExitsTest : public KvmTest {
 protected:
  void SetUp() override {
    KvmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    MakeVm();
    msrs_ = FeatureOf<MsrExits>(*vm_);
    if (msrs_ == nullptr) {
      GTEST_SKIP() << "the engine has neither KVM_CAP_X86_USER_SPACE_MSR nor "
                      "KVM_CAP_X86_MSR_FILTER";
    }
    Load(kHandlerGpa, GpHandlerCode());
    SetGate(kGpVector, kHandlerGpa);
  }

  // The guest, about to touch one MSR.
  void StartWith(const std::vector<unsigned char>& code, std::uint32_t msr) {
    Start(code);
    general().rcx = msr;
    vcpu().registers().dirty = kGeneralRegisters;
  }
  Exit Run() {
    Watchdog watchdog(vcpu().kick_handle());
    Exit exit = vcpu().run();
    while (exit.reason == ExitReason::kInterrupted && !watchdog.fired()) {
      exit = vcpu().run();
    }
    return exit;
  }
  void ExpectOut(std::uint16_t port, std::uint64_t value) {
    const Exit exit = Run();
    ASSERT_EQ(exit.reason, ExitReason::kIo) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.io.port, port);
    std::uint32_t seen = 0;
    std::memcpy(&seen, exit.io.data, sizeof(seen));
    EXPECT_EQ(seen, value);
  }
  void ExpectMsr(const Exit& exit, ExitReason reason, std::uint32_t msr,
                 MsrExitCauses cause) {
    ASSERT_EQ(exit.reason, reason) << ExitReasonName(exit.reason);
    EXPECT_EQ(exit.msr.index, msr);
    EXPECT_EQ(exit.msr.engine_reason, cause);
  }
  // One MSR ruled over in one word.
  Result FilterOne(std::uint32_t msr, bool reads, bool writes, bool allow,
                   MsrFilterDefault otherwise = MsrFilterDefault::kAllow) {
    const std::uint64_t allowed = allow ? 1 : 0;
    const MsrFilterRange range = {.first = msr,
                                  .count = 1,
                                  .reads = reads,
                                  .writes = writes,
                                  .allowed = &allowed};
    return msrs_->set_filter(otherwise, &range, 1);
  }

  MsrExits* msrs_ = nullptr;
};

TEST_F(KvmMsrExitsTest, UnknownMsrFaultsUnlessAskedFor) {
  StartWith(ReadMsrCode(), kUnknownMsr);
  ExpectOut(kFaultPort, 0);
  ASSERT_EQ(msrs_->exit_on(kMsrUnknown), Result::kOk) << msrs_->last_error();
  StartWith(ReadMsrCode(), kUnknownMsr);
  Exit exit = Run();
  ExpectMsr(exit, ExitReason::kRdmsr, kUnknownMsr, kMsrUnknown);
  *exit.msr.data = kPatternHigh << 32 | kPatternLow;
  *exit.msr.inject_gp = 0;
  ExpectOut(kValuePort, kPatternLow);
  ExpectOut(kValuePort, kPatternHigh);
  ASSERT_EQ(msrs_->exit_on(kNoMsrExits), Result::kOk);
  StartWith(ReadMsrCode(), kUnknownMsr);
  ExpectOut(kFaultPort, 0);
}

TEST_F(KvmMsrExitsTest, CallerAnswersWithGp) {
  ASSERT_EQ(msrs_->exit_on(kMsrUnknown), Result::kOk);
  for (const bool write : {false, true}) {
    StartWith(write ? WriteMsrCode() : ReadMsrCode(), kUnknownMsr);
    const Exit exit = Run();
    ExpectMsr(exit, write ? ExitReason::kWrmsr : ExitReason::kRdmsr,
              kUnknownMsr, kMsrUnknown);
    *exit.msr.inject_gp = 1;
    ExpectOut(kFaultPort, 0);
  }
}

TEST_F(KvmMsrExitsTest, WrittenValueIsTold) {
  ASSERT_EQ(msrs_->exit_on(kMsrUnknown), Result::kOk);
  StartWith(WriteMsrCode(), kUnknownMsr);
  const Exit exit = Run();
  ExpectMsr(exit, ExitReason::kWrmsr, kUnknownMsr, kMsrUnknown);
  EXPECT_EQ(*exit.msr.data, kPatternHigh << 32 | kPatternLow);
  ExpectOut(kValuePort, 1);
}

// A value with reserved bits for an MSR that the engine knows.
TEST_F(KvmMsrExitsTest, InvalidValueIsACauseOfItsOwn) {
  constexpr std::uint32_t kEfer = 0xc0000080;
  ASSERT_EQ(msrs_->exit_on(kMsrUnknown), Result::kOk);
  StartWith(WriteMsrCode(), kEfer);
  ExpectOut(kFaultPort, 0);
  ASSERT_EQ(msrs_->exit_on(kMsrInvalid), Result::kOk) << msrs_->last_error();
  StartWith(WriteMsrCode(), kEfer);
  const Exit exit = Run();
  ExpectMsr(exit, ExitReason::kWrmsr, kEfer, kMsrInvalid);
  *exit.msr.inject_gp = 0;
  ExpectOut(kValuePort, 1);
}

// Filters: each of these on a vCPU that ran before the filter changed.
TEST_F(KvmMsrExitsTest, FilterRulesOverReadsAndWritesApart) {
  ASSERT_EQ(msrs_->exit_on(kMsrFiltered), Result::kOk);
  const Result filtered = FilterOne(kTscAdjust, true, false, false);
  if (filtered == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_X86_MSR_FILTER";
  }
  ASSERT_EQ(filtered, Result::kOk) << msrs_->last_error();
  StartWith(ReadMsrCode(), kTscAdjust);
  Exit exit = Run();
  ExpectMsr(exit, ExitReason::kRdmsr, kTscAdjust, kMsrFiltered);
  *exit.msr.data = kPatternLow;
  *exit.msr.inject_gp = 0;
  ExpectOut(kValuePort, kPatternLow);
  ExpectOut(kValuePort, 0);
  StartWith(WriteMsrCode(), kTscAdjust);
  ExpectOut(kValuePort, 1);

  ASSERT_EQ(FilterOne(kTscAdjust, false, true, false), Result::kOk);
  StartWith(WriteMsrCode(), kTscAdjust);
  exit = Run();
  ExpectMsr(exit, ExitReason::kWrmsr, kTscAdjust, kMsrFiltered);
  EXPECT_EQ(*exit.msr.data, kPatternHigh << 32 | kPatternLow);
  *exit.msr.inject_gp = 0;
  ExpectOut(kValuePort, 1);

  ASSERT_EQ(msrs_->set_filter(MsrFilterDefault::kAllow, nullptr, 0),
            Result::kOk);
  StartWith(WriteMsrCode(), kTscAdjust);
  ExpectOut(kValuePort, 1);
}

TEST_F(KvmMsrExitsTest, FilterWithoutExitsRaisesGp) {
  if (FilterOne(kTscAdjust, true, true, false) == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_X86_MSR_FILTER";
  }
  StartWith(ReadMsrCode(), kTscAdjust);
  ExpectOut(kFaultPort, 0);
  StartWith(WriteMsrCode(), kTscAdjust);
  ExpectOut(kFaultPort, 0);
}

TEST_F(KvmMsrExitsTest, DenyingByDefaultLetsOnlyTheBitmapPass) {
  ASSERT_EQ(msrs_->exit_on(kMsrFiltered), Result::kOk);
  // MSRs 0 to 64, in two words.
  const std::uint64_t allowed[] = {std::uint64_t{1} << kTscAdjust, 0};
  const MsrFilterRange range = {.first = 0,
                                .count = 65,
                                .reads = true,
                                .writes = true,
                                .allowed = allowed};
  const Result filtered = msrs_->set_filter(MsrFilterDefault::kDeny, &range, 1);
  if (filtered == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_X86_MSR_FILTER";
  }
  ASSERT_EQ(filtered, Result::kOk) << msrs_->last_error();
  StartWith(WriteMsrCode(), kTscAdjust);
  ExpectOut(kValuePort, 1);
  // In the range and denied; beyond it and denied.
  for (const std::uint32_t msr : {0x10u, 64u, 0x174u}) {
    StartWith(ReadMsrCode(), msr);
    const Exit exit = Run();
    ExpectMsr(exit, ExitReason::kRdmsr, msr, kMsrFiltered);
    *exit.msr.data = kPatternLow;
    *exit.msr.inject_gp = 0;
    ExpectOut(kValuePort, kPatternLow);
  }
}

TEST_F(KvmMsrExitsTest, BadRequestsAreRefusedAndChangeNothing) {
  constexpr MsrExitCauses kNoSuchCause = 1u << 30;
  EXPECT_EQ(msrs_->exit_on(kNoSuchCause), Result::kError);
  EXPECT_EQ(msrs_->last_error(), EINVAL);
  ASSERT_EQ(msrs_->exit_on(kMsrFiltered), Result::kOk);
  if (FilterOne(kTscAdjust, true, true, false) == Result::kUnsupported) {
    GTEST_SKIP() << "the engine lacks KVM_CAP_X86_MSR_FILTER";
  }
  const std::uint64_t allowed = 1;
  const MsrFilterRange good = {
      .first = 0x10, .count = 1, .reads = true, .allowed = &allowed};
  MsrFilterRange empty = good;
  empty.count = 0;
  MsrFilterRange neither = good;
  neither.reads = false;
  MsrFilterRange huge = good;
  huge.count = MsrExits::kMaxRangeMsrs + 1;
  MsrFilterRange no_bitmap = good;
  no_bitmap.allowed = nullptr;
  for (const MsrFilterRange& bad : {empty, neither, huge, no_bitmap}) {
    EXPECT_EQ(msrs_->set_filter(MsrFilterDefault::kAllow, &bad, 1),
              Result::kError);
    EXPECT_EQ(msrs_->last_error(), EINVAL);
  }
  const std::vector<MsrFilterRange> many(MsrExits::kMaxRanges + 1, good);
  EXPECT_EQ(msrs_->set_filter(MsrFilterDefault::kAllow, many.data(),
                              MsrExits::kMaxRanges + 1),
            Result::kError);
  EXPECT_EQ(msrs_->set_filter(MsrFilterDefault::kDeny, nullptr, 0),
            Result::kError);
  EXPECT_EQ(msrs_->last_error(), EINVAL);
  StartWith(ReadMsrCode(), kTscAdjust);
  ExpectMsr(Run(), ExitReason::kRdmsr, kTscAdjust, kMsrFiltered);
}

// The value is given, the registers are read: they are those behind RDMSR.
TEST_F(KvmMsrExitsTest, RegistersAtTheExitAreThoseBehindIt) {
  ASSERT_EQ(msrs_->exit_on(kMsrUnknown), Result::kOk);
  StartWith(ReadMsrCode(), kUnknownMsr);
  const Exit exit = Run();
  ExpectMsr(exit, ExitReason::kRdmsr, kUnknownMsr, kMsrUnknown);
  *exit.msr.data = kPatternHigh << 32 | kPatternLow;
  *exit.msr.inject_gp = 0;
  ASSERT_EQ(vcpu().fetch_registers(kGeneralRegisters), Result::kOk);
  EXPECT_EQ(general().rax, kPatternLow);
  EXPECT_EQ(general().rdx, kPatternHigh);
  EXPECT_EQ(general().rip, kCodeGpa + 2);
}

}  // namespace
}  // namespace worldswitch
