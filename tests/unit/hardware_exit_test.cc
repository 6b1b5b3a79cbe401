// What KVM hands over of the hardware's exits, and how a run's report has it.

#include "backends/kvm/hardware_exit.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "backends/kvm/kvm_header.h"
#include "backends/scripted/scripted_backend.h"
#include "backends/svm_amd/svm_exit_text.h"
#include "backends/vmx_intel/vmx_exit_text.h"
#include "bench/exit_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

template <std::size_t kCount>
Exit InternalError(std::uint32_t suberror,
                   const std::array<std::uint64_t, kCount>& data) {
  Exit exit = MakeExit(ExitReason::kInternalError, KVM_EXIT_INTERNAL_ERROR);
  exit.internal_error = {.suberror = suberror,
                         .data_count = static_cast<std::uint32_t>(kCount),
                         .data = data.data()};
  return exit;
}

Exit FailedEntry(std::uint64_t reason) {
  Exit exit = MakeExit(ExitReason::kEntryFailure, KVM_EXIT_FAIL_ENTRY);
  exit.entry_failure = {.hardware_reason = reason, .cpu = 0};
  return exit;
}

TEST(HardwareExitTest, FailedEntry) {
  const HardwareExit exit = HardwareExitOf(FailedEntry(0x80000021));
  EXPECT_TRUE(exit.entry_failed);
  EXPECT_EQ(exit.reason, 0x80000021);
  EXPECT_FALSE(exit.info1.has_value());
}

TEST(HardwareExitTest, UnknownExitCarriesTheReason) {
  Exit unknown = MakeExit(ExitReason::kUnknown, KVM_EXIT_UNKNOWN);
  unknown.entry_failure.hardware_reason = 71;
  EXPECT_EQ(HardwareExitOf(unknown).reason, 71u);
  EXPECT_FALSE(HardwareExitOf(unknown).entry_failed);
  // A code younger than this program carries none.
  unknown.raw = 4711;
  EXPECT_FALSE(HardwareExitOf(unknown).reason.has_value());
}

TEST(HardwareExitTest, OrdinaryExitsTellNothing) {
  EXPECT_FALSE(HardwareExitOf(MakeExit(ExitReason::kHlt, KVM_EXIT_HLT))
                   .reason.has_value());
  EXPECT_EQ(ExplainKvmExit(MakeExit(ExitReason::kHlt), DescribeVmxExit), "");
}

TEST(HardwareExitTest, EmulationWithItsInstruction) {
  // Length 3, 0f 01 f9; then the exit: EPT violation.
  const std::array<std::uint64_t, 8> data = {
      1, 0x90909090F9010F03, 0x9090909090909090, 48, 0x181, 0x80000B0E, 0, 2};
  const Exit error = InternalError(KVM_INTERNAL_ERROR_EMULATION, data);
  const HardwareExit exit = HardwareExitOf(error);
  EXPECT_EQ(exit.reason, 48u);
  EXPECT_EQ(exit.info1, 0x181u);
  EXPECT_EQ(exit.info2, 0x80000B0Eu);
  EXPECT_EQ(exit.intr_info, 0u);
  EXPECT_EQ(exit.error_code, 2u);
  EXPECT_EQ(ExplainKvmExit(error, nullptr),
            "KVM_INTERNAL_ERROR_EMULATION, instruction bytes 0f 01 f9");
  EXPECT_THAT(ExplainKvmExit(error, DescribeVmxExit),
              StartsWith("KVM_INTERNAL_ERROR_EMULATION, instruction bytes 0f "
                         "01 f9; EPT violation (exit reason 0x30); exit "
                         "qualification 0x181: data read"));
}

TEST(HardwareExitTest, EmulationWithoutItsInstruction) {
  const std::array<std::uint64_t, 6> data = {0,       0x400, 0x100000004,
                                             0xFE000, 0,     0};
  EXPECT_EQ(ExplainKvmExit(InternalError(KVM_INTERNAL_ERROR_EMULATION, data),
                           DescribeSvmExit),
            "KVM_INTERNAL_ERROR_EMULATION; VMEXIT_NPF, nested page fault "
            "(EXITCODE 0x400); EXITINFO1 0x100000004: user (US), guest's final "
            "physical address; EXITINFO2 0xfe000: guest-physical address "
            "0xfe000");
}

TEST(HardwareExitTest, OldKernelsTellLess) {
  const std::array<std::uint64_t, 0> nothing = {};
  EXPECT_EQ(ExplainKvmExit(InternalError(KVM_INTERNAL_ERROR_EMULATION, nothing),
                           DescribeVmxExit),
            "KVM_INTERNAL_ERROR_EMULATION");
  const std::array<std::uint64_t, 3> bytes = {1, 0xF402, 0};
  EXPECT_EQ(ExplainKvmExit(InternalError(KVM_INTERNAL_ERROR_EMULATION, bytes),
                           DescribeVmxExit),
            "KVM_INTERNAL_ERROR_EMULATION, instruction bytes f4 00");
}

TEST(HardwareExitTest, ALengthBeyondTheBytesIsCut) {
  const std::array<std::uint64_t, 3> data = {1, 0xFF, 0};
  const std::string text = ExplainKvmExit(
      InternalError(KVM_INTERNAL_ERROR_EMULATION, data), nullptr);
  EXPECT_EQ(text,
            "KVM_INTERNAL_ERROR_EMULATION, instruction bytes 00 00 00 00 "
            "00 00 00 00 00 00 00 00 00 00 00");
}

TEST(HardwareExitTest, EventUnderDelivery) {
  const std::array<std::uint64_t, 5> with_gpa = {0x80000B0E, 49, 0, 0xFE000, 1};
  HardwareExit exit =
      HardwareExitOf(InternalError(KVM_INTERNAL_ERROR_DELIVERY_EV, with_gpa));
  EXPECT_EQ(exit.info2, 0x80000B0Eu);
  EXPECT_EQ(exit.reason, 49u);
  EXPECT_EQ(exit.info1, 0u);
  EXPECT_EQ(exit.gpa, 0xFE000u);
  // The last of four is the host's CPU.
  const std::array<std::uint64_t, 4> without = {0x80000B0E, 9, 0x28, 1};
  exit = HardwareExitOf(InternalError(KVM_INTERNAL_ERROR_DELIVERY_EV, without));
  EXPECT_EQ(exit.reason, 9u);
  EXPECT_FALSE(exit.gpa.has_value());
}

TEST(HardwareExitTest, UnexpectedReasonAndSimultaneousExceptions) {
  const std::array<std::uint64_t, 2> reason = {77, 1};
  EXPECT_EQ(
      ExplainKvmExit(
          InternalError(KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON, reason),
          DescribeVmxExit),
      "KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON; TDCALL (exit reason "
      "0x4d)");
  const std::array<std::uint64_t, 3> two = {0x80000B0E, 0x80000B0D, 0};
  EXPECT_THAT(ExplainKvmExit(InternalError(KVM_INTERNAL_ERROR_SIMUL_EX, two),
                             DescribeVmxExit),
              AllOf(HasSubstr("KVM_INTERNAL_ERROR_SIMUL_EX"),
                    HasSubstr("(#GP)"), HasSubstr("(#PF)")));
}

TEST(HardwareExitTest, UnknownSuberrorIsLeftAlone) {
  const std::array<std::uint64_t, 1> data = {1};
  EXPECT_EQ(ExplainKvmExit(InternalError(99, data), DescribeVmxExit), "");
}

// A VM that knows a word about everything.
class KnowingVm final : public Vm {
 public:
  explicit KnowingVm(std::string word) : word_(std::move(word)) {}
  MemoryView memory() override { return {}; }
  std::uint32_t vcpu_count() const override { return 0; }
  VcpuOps& vcpu(std::uint32_t /*index*/) override { std::abort(); }
  bool has(Capability /*capability*/) const override { return false; }
  OptionalValue counter(Counter /*counter*/, std::uint32_t /*vcpu*/) override {
    return {};
  }
  Result discard_memory(std::uint64_t /*gpa*/,
                        std::uint64_t /*length*/) override {
    return Result::kUnsupported;
  }
  std::string Explain(const Exit& /*exit*/) const override { return word_; }

 private:
  const std::string word_;
};

TEST(DescribeExitTest, TheBackendsWordComesBeside) {
  EXPECT_EQ(DescribeExit(FailedEntry(7), KnowingVm("because")),
            "the processor refused the entry (reason 0x7): because");
  EXPECT_EQ(DescribeExit(FailedEntry(7), KnowingVm("")),
            DescribeExit(FailedEntry(7)));
}

TEST(DescribeExitTest, FailedEntryOnBothVendors) {
  EXPECT_EQ(ExplainKvmExit(FailedEntry(0x80000021), DescribeVmxExit),
            "VM-entry failure due to invalid guest state (exit reason "
            "0x80000021, VM-entry failure)");
  EXPECT_THAT(ExplainKvmExit(FailedEntry(0xFFFFFFFF), DescribeSvmExit),
              StartsWith("VMEXIT_INVALID, invalid guest state"));
  EXPECT_EQ(ExplainKvmExit(FailedEntry(0x80000021), nullptr), "");
}

}  // namespace
}  // namespace worldswitch
