// VMX exits against the kernel's list, and their qualifications against the
// SDM's formats, on values worked out by hand.

#include <asm/vmx.h>

#include <map>
#include <set>
#include <string>

#include "backends/vmx_intel/vmx_exit_reason.h"
#include "backends/vmx_intel/vmx_exit_text.h"
#include "backends/vmx_intel/vmx_instruction_error.h"
#include "core/host/bit_field_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/kernel_header.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct KernelReason {
  std::uint32_t number;
  const char* name;
};
constexpr KernelReason kKernelReasons[] = {VMX_EXIT_REASONS};

// Where the kernel and the manual call the same exit differently.
const std::map<std::string, std::string>& OtherNames() {
  static const auto* const names = new std::map<std::string, std::string>{
      {"EXCEPTION_NMI", "Exception or non-maskable interrupt (NMI)"},
      {"SIPI_SIGNAL", "Start-up IPI (SIPI)"},
      {"VMOFF", "VMXOFF"},
      {"VMON", "VMXON"},
      {"CR_ACCESS", "Control-register accesses"},
      {"DR_ACCESS", "MOV DR"},
      {"MSR_READ", "RDMSR"},
      {"MSR_WRITE", "WRMSR"},
      {"INVALID_STATE", "VM-entry failure due to invalid guest state"},
      {"MSR_LOAD_FAIL", "VM-entry failure due to MSR loading"},
      {"MWAIT_INSTRUCTION", "MWAIT"},
      {"MONITOR_INSTRUCTION", "MONITOR"},
      {"PAUSE_INSTRUCTION", "PAUSE"},
      {"MCE_DURING_VMENTRY", "VM-entry failure due to machine-check event"},
      {"EOI_INDUCED", "Virtualized EOI"},
      {"GDTR_IDTR", "Access to GDTR or IDTR"},
      {"LDTR_TR", "Access to LDTR or TR"},
      {"EPT_MISCONFIG", "EPT misconfiguration"},
      {"PREEMPTION_TIMER", "VMX-preemption timer expired"},
      {"WBINVD", "WBINVD or WBNOINVD"},
      {"PML_FULL", "Page-modification log full"},
      {"NOTIFY", "Instruction timeout"},
      {"MSR_READ_IMM", "RDMSR with an immediate"},
      {"MSR_WRITE_IMM", "WRMSRNS with an immediate"},
  };
  return *names;
}

void ExpectSameExit(const std::string& kernel_name, std::uint64_t number) {
  const VmxExitInfo* const exit =
      FindVmxExit(static_cast<std::uint16_t>(number));
  ASSERT_NE(exit, nullptr) << kernel_name << " " << number;
  const auto other = OtherNames().find(kernel_name);
  const std::string expected =
      other != OtherNames().end() ? other->second : kernel_name;
  EXPECT_EQ(Letters(exit->name), Letters(expected)) << number;
}

std::string Qualification(VmxExitReason reason, std::uint64_t value,
                          std::uint64_t interruption = 0) {
  const VmxExitInfo* const exit =
      FindVmxExit(static_cast<std::uint16_t>(reason));
  return DescribeBitFields(VmxQualificationFields(*exit, interruption), value);
}

TEST(VmxExitTest, TheKernelsTableIsAllHere) {
  EXPECT_GE(std::size(kKernelReasons), 60u);
  for (const KernelReason& reason : kKernelReasons) {
    ExpectSameExit(reason.name, reason.number);
  }
}

TEST(VmxExitTest, TheKernelsDefinesAreAllHere) {
  const auto defines = DefinesOf("vmx.h", "EXIT_REASON_");
  if (defines.empty())
    GTEST_SKIP() << "asm/vmx.h is not where it is looked for";
  EXPECT_GE(defines.size(), 60u);
  for (const auto& [name, number] : defines) ExpectSameExit(name, number);
}

TEST(VmxExitTest, FlagsOfTheReasonAreTheKernels) {
  EXPECT_EQ(VmxExitReasonField::kEntryFailure.Mask(),
            VMX_EXIT_REASONS_FAILED_VMENTRY);
  EXPECT_EQ(VmxExitReasonField::kEnclave.Mask(),
            VMX_EXIT_REASONS_SGX_ENCLAVE_MODE);
}

// SDM vol. 3D, table C-1: 0 to 85 but for these.
TEST(VmxExitTest, OnlyReservedNumbersAreMissing) {
  const std::set<std::uint16_t> reserved = {35, 38, 42, 71, 82, 83};
  std::set<std::string> names;
  for (std::uint16_t number = 0; number <= 85; ++number) {
    const VmxExitInfo* const exit = FindVmxExit(number);
    EXPECT_EQ(exit == nullptr, reserved.count(number) == 1) << number;
    if (exit == nullptr) continue;
    EXPECT_EQ(static_cast<std::uint16_t>(exit->reason), number);
    EXPECT_TRUE(names.insert(exit->name).second) << exit->name;
  }
  EXPECT_EQ(names.size(), AllVmxExits().size());
  EXPECT_EQ(FindVmxExit(86), nullptr);
  EXPECT_EQ(FindVmxExit(0xFFFF), nullptr);
}

TEST(VmxExitTest, FieldsDoNotOverlapAndChoicesFit) {
  for (const VmxExitInfo& exit : AllVmxExits()) {
    std::uint64_t seen = 0;
    for (const BitField& field : exit.qualification) {
      EXPECT_EQ(seen & field.Mask(), 0u) << exit.name << ": " << field.name;
      seen |= field.Mask();
      if (field.width < 64) {
        EXPECT_LE(field.choices.size(), std::size_t{1} << field.width);
      }
    }
  }
}

TEST(VmxQualificationTest, ControlRegisters) {
  constexpr auto kReason = VmxExitReason::kControlRegisterAccess;
  EXPECT_EQ(Qualification(kReason, 0x003),
            "CR 3, access MOV to CR, general-purpose register RAX");
  EXPECT_EQ(Qualification(kReason, 0xF18),
            "CR 8, access MOV from CR, general-purpose register R15");
  EXPECT_EQ(Qualification(kReason, 0x020), "CR 0, access CLTS");
  EXPECT_EQ(Qualification(kReason, 0x00310070),
            "CR 0, access LMSW, LMSW operand memory, LMSW source data 0x31");
}

TEST(VmxQualificationTest, DebugRegisters) {
  constexpr auto kReason = VmxExitReason::kMovDr;
  EXPECT_EQ(Qualification(kReason, 0x317),
            "DR 7, direction MOV from DR, general-purpose register RBX");
  EXPECT_EQ(Qualification(kReason, 0x000),
            "DR 0, direction MOV to DR, general-purpose register RAX");
}

TEST(VmxQualificationTest, Io) {
  constexpr auto kReason = VmxExitReason::kIoInstruction;
  EXPECT_EQ(
      Qualification(kReason, 0x00E00040),
      "size 1 byte, direction OUT, operand encoding immediate, port 0xe0");
  EXPECT_EQ(Qualification(kReason, 0x03F8003B),
            "size 4 bytes, direction IN, string instruction, REP prefixed, "
            "operand encoding DX, port 0x3f8");
  EXPECT_THAT(Qualification(kReason, 2), HasSubstr("size reserved value 2"));
  // What a handler reads.
  constexpr std::uint64_t kIn = 0x03F80009;
  static_assert(VmxIoQualification::kPort.Of(kIn) == 0x3F8);
  static_assert(VmxIoQualification::kSize.Of(kIn) + 1 == 2);
  static_assert(VmxIoQualification::kIn.IsSet(kIn));
  static_assert(!VmxIoQualification::kRep.IsSet(kIn));
}

TEST(VmxQualificationTest, EptViolation) {
  constexpr auto kReason = VmxExitReason::kEptViolation;
  EXPECT_EQ(Qualification(kReason, 0x182),
            "data write, guest linear address valid, translation of the linear "
            "address");
  EXPECT_EQ(Qualification(kReason, 0x1AC),
            "instruction fetch, page readable, page executable, guest linear "
            "address valid, translation of the linear address");
  // Without a linear address, bit 8 says nothing.
  EXPECT_EQ(Qualification(kReason, 0x101), "data read, undefined bits 0x100");
}

TEST(VmxQualificationTest, TaskSwitch) {
  EXPECT_EQ(Qualification(VmxExitReason::kTaskSwitch, 0xC0000028),
            "TSS selector 0x28, source task gate in IDT");
  EXPECT_EQ(Qualification(VmxExitReason::kTaskSwitch, 0x40000028),
            "TSS selector 0x28, source IRET");
}

TEST(VmxQualificationTest, ApicAccess) {
  EXPECT_EQ(Qualification(VmxExitReason::kApicAccess, 0x10B0),
            "offset 0xb0, access linear, data write");
  EXPECT_EQ(Qualification(VmxExitReason::kApicAccess, 0xF000),
            "access guest-physical, instruction fetch or execution")
      << "offsets are of linear accesses";
}

TEST(VmxQualificationTest, ExceptionsByTheirVector) {
  constexpr auto kReason = VmxExitReason::kExceptionOrNmi;
  EXPECT_EQ(Qualification(kReason, 0xDEADB000, 0x80000B0E),
            "linear address 0xdeadb000");
  EXPECT_EQ(Qualification(kReason, 0x4001, 0x80000301), "B0, BS");
  EXPECT_EQ(Qualification(kReason, 0x20000, 0x80000307),
            "IA32_XFD_ERR state components 0x20000");
  EXPECT_EQ(Qualification(kReason, 0, 0x80000202), "") << "an NMI";
  EXPECT_EQ(Qualification(kReason, 0, 0), "") << "not known which";
}

TEST(VmxQualificationTest, TheRest) {
  EXPECT_EQ(Qualification(VmxExitReason::kStartupIpi, 0x9A),
            "SIPI vector 0x9a");
  EXPECT_EQ(Qualification(VmxExitReason::kEntryFailureGuestState, 4),
            "cause the VMCS link pointer");
  EXPECT_EQ(Qualification(VmxExitReason::kEntryFailureMsrLoading, 3),
            "entry of the VM-entry MSR-load area 3");
  EXPECT_EQ(Qualification(VmxExitReason::kMwait, 1),
            "address-range monitoring armed");
  EXPECT_EQ(Qualification(VmxExitReason::kVirtualizedEoi, 0x31), "vector 49");
  EXPECT_EQ(Qualification(VmxExitReason::kApicWrite, 0x300), "offset 0x300");
  EXPECT_EQ(Qualification(VmxExitReason::kPageModificationLogFull, 0x1000),
            "NMI unblocking due to IRET");
  EXPECT_EQ(Qualification(VmxExitReason::kSppEvent, 0x800), "event SPP miss");
  EXPECT_EQ(Qualification(VmxExitReason::kInstructionTimeout, 1),
            "VM context invalid");
  EXPECT_EQ(Qualification(VmxExitReason::kRdmsrImmediate, 0xC0000080),
            "MSR 0xc0000080");
  EXPECT_EQ(Qualification(VmxExitReason::kInvept, 0x10),
            "displacement of the memory operand 0x10");
}

TEST(VmxInstructionErrorTest, NumbersOfTheManual) {
  for (std::uint64_t number = 0; number <= 30; ++number) {
    const bool missing = number == 0 || number == 14 || number == 21 ||
                         number == 27 || number > 28;
    EXPECT_EQ(VmxInstructionErrorName(number) == nullptr, missing) << number;
  }
  EXPECT_STREQ(VmxInstructionErrorName(5), "VMRESUME with non-launched VMCS");
  EXPECT_STREQ(VmxInstructionErrorName(13),
               "VMWRITE to read-only VMCS component");
  EXPECT_STREQ(VmxInstructionErrorName(26),
               "VM entry with events blocked by MOV SS");
}

TEST(VmxExitTextTest, FailedEntryNamesTheChecksItFailed) {
  EXPECT_EQ(DescribeVmxExit({.entry_failed = true, .reason = 0x80000021}),
            "VM-entry failure due to invalid guest state (exit reason "
            "0x80000021, VM-entry failure)");
  // KVM gives the VM-instruction error where the instruction itself failed.
  EXPECT_EQ(DescribeVmxExit({.entry_failed = true, .reason = 7}),
            "VM-instruction error 7: VM entry with invalid control field(s)");
  EXPECT_EQ(DescribeVmxExit({.entry_failed = true, .reason = 14}),
            "VM-instruction error 14: not in the manual");
}

TEST(VmxExitTextTest, EventUnderDelivery) {
  EXPECT_EQ(
      DescribeVmxExit(
          {.reason = 48, .info1 = 0x181, .info2 = 0x80000B0E, .gpa = 0xFE000}),
      "EPT violation (exit reason 0x30); exit qualification 0x181: data read, "
      "guest linear address valid, translation of the linear address; "
      "IDT-vectoring information 0x80000b0e: vector 14, type hardware "
      "exception, error code valid (#PF); guest-physical address 0xfe000");
}

TEST(VmxExitTextTest, InterruptionWithItsErrorCode) {
  EXPECT_EQ(DescribeVmxExit({.reason = 0,
                             .info1 = 0,
                             .info2 = 0,
                             .intr_info = 0x80000B0D,
                             .error_code = 0x18}),
            "Exception or non-maskable interrupt (NMI) (exit reason 0); "
            "interruption information 0x80000b0d: vector 13, type hardware "
            "exception, error code valid (#GP), error code 0x18");
}

TEST(VmxExitTextTest, WhatIsNotKnownIsGivenAsItIs) {
  EXPECT_EQ(DescribeVmxExit({.reason = 0x08000063, .info1 = 5}),
            "unknown basic exit reason 99 (exit reason 0x8000063, from enclave "
            "mode); exit qualification 0x5");
  EXPECT_THAT(DescribeVmxExit({.reason = 0x4000000A}),
              HasSubstr("undefined bits 0x40000000"));
  EXPECT_THAT(DescribeVmxExit({.reason = 10, .info1 = 0}),
              Not(HasSubstr("qualification")));
}

}  // namespace
}  // namespace worldswitch
