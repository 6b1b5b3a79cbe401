// SVM exits against the kernel's list, and their information fields against the
// APM's formats, on values worked out by hand.

#include <asm/svm.h>

#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "backends/svm_amd/svm_exit_code.h"
#include "backends/svm_amd/svm_exit_text.h"
#include "core/host/bit_field_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/kernel_header.h"

namespace worldswitch {
namespace {

using ::testing::StartsWith;

// What the kernel's list wants of asm/kvm.h, which is not for C++.
enum : std::int32_t {
  DE_VECTOR = 0,
  DB_VECTOR = 1,
  BP_VECTOR = 3,
  OF_VECTOR = 4,
  BR_VECTOR = 5,
  UD_VECTOR = 6,
  NM_VECTOR = 7,
  DF_VECTOR = 8,
  TS_VECTOR = 10,
  NP_VECTOR = 11,
  SS_VECTOR = 12,
  GP_VECTOR = 13,
  PF_VECTOR = 14,
  MF_VECTOR = 16,
  AC_VECTOR = 17,
  MC_VECTOR = 18,
  XM_VECTOR = 19,
};
struct KernelCode {
  std::int64_t code;
  const char* name;
};
constexpr KernelCode kKernelCodes[] = {SVM_EXIT_REASONS};

const SvmExitInfo* Find(SvmExitCode code) {
  return FindSvmExit(static_cast<std::uint64_t>(code));
}

std::string Info1(SvmExitCode code, std::uint64_t value) {
  return DescribeBitFields(Find(code)->info1, value);
}
std::string Info2(SvmExitCode code, std::uint64_t value) {
  return DescribeBitFields(Find(code)->info2, value);
}

TEST(SvmExitTest, TheKernelsTableIsAllHere) {
  EXPECT_GE(std::size(kKernelCodes), 90u);
  for (const KernelCode& code : kKernelCodes) {
    EXPECT_NE(FindSvmExit(static_cast<std::uint64_t>(code.code)), nullptr)
        << code.name << " " << code.code;
  }
}

// The manual's name of the kernel's, where that is not VMEXIT_ and the same.
std::string ManualName(const std::string& kernel) {
  static const auto* const others = new std::map<std::string, std::string>{
      {"EXCP_BASE", "VMEXIT_EXCP0"},
      {"LAST_EXCP", "VMEXIT_EXCP31"},
      {"MWAIT_COND", "VMEXIT_MWAIT_CONDITIONAL"},
      {"AVIC_INCOMPLETE_IPI", "AVIC_INCOMPLETE_IPI"},
      {"AVIC_UNACCELERATED_ACCESS", "AVIC_NOACCEL"},
      {"BUS_LOCK", "VMEXIT_BUSLOCK"},
      {"ERR", "VMEXIT_INVALID"},
  };
  if (const auto other = others->find(kernel); other != others->end()) {
    return other->second;
  }
  // READ_CR0 is CR0_READ.
  for (const std::string access : {"READ", "WRITE"}) {
    const std::string prefix = access + "_";
    if (kernel.rfind(prefix + "CR", 0) == 0 ||
        kernel.rfind(prefix + "DR", 0) == 0) {
      return "VMEXIT_" + kernel.substr(prefix.size()) + "_" + access;
    }
  }
  return "VMEXIT_" + kernel;
}

TEST(SvmExitTest, TheKernelsDefinesAreAllHere) {
  const auto defines = DefinesOf("svm.h", "SVM_EXIT_");
  if (defines.empty())
    GTEST_SKIP() << "asm/svm.h is not where it is looked for";
  EXPECT_GE(defines.size(), 90u);
  for (const auto& [name, code] : defines) {
    const SvmExitInfo* const exit = FindSvmExit(code);
    ASSERT_NE(exit, nullptr) << name << " " << code;
    EXPECT_EQ(exit->name, ManualName(name)) << code;
  }
}

TEST(SvmExitTest, TheKernelsGhcbEventsAreAllHere) {
  const auto defines = DefinesOf("svm.h", "SVM_VMGEXIT_");
  if (defines.empty())
    GTEST_SKIP() << "asm/svm.h is not where it is looked for";
  for (const auto& [name, code] : defines) {
    // Those below are parameters of an event.
    if (code < 0x80000000) continue;
    EXPECT_NE(FindSvmExit(code), nullptr) << name;
  }
}

TEST(SvmExitTest, CodesAndNamesAreUnique) {
  std::set<std::string> names;
  for (const SvmExitInfo& exit : AllSvmExits()) {
    EXPECT_EQ(FindSvmExit(exit.code), &exit);
    EXPECT_TRUE(names.insert(exit.name).second) << exit.name;
    EXPECT_NE(exit.meaning, nullptr) << exit.name;
  }
  EXPECT_EQ(FindSvmExit(0xA7), nullptr);
  EXPECT_EQ(FindSvmExit(0x3FF), nullptr);
  EXPECT_EQ(FindSvmExit(0xFFFFFFFF), nullptr) << "normalize it first";
}

TEST(SvmExitTest, FieldsDoNotOverlapAndChoicesFit) {
  for (const SvmExitInfo& exit : AllSvmExits()) {
    for (const BitFields fields : {exit.info1, exit.info2}) {
      std::uint64_t seen = 0;
      for (const BitField& field : fields) {
        EXPECT_EQ(seen & field.Mask(), 0u) << exit.name << ": " << field.name;
        seen |= field.Mask();
        if (field.width < 64) {
          EXPECT_LE(field.choices.size(), std::size_t{1} << field.width);
        }
      }
    }
  }
}

TEST(SvmExitTest, RangesCountUp) {
  for (std::uint64_t n = 0; n < 16; ++n) {
    EXPECT_EQ(FindSvmExit(0x00 + n)->name,
              absl::StrCat("VMEXIT_CR", n, "_READ"));
    EXPECT_EQ(FindSvmExit(0x10 + n)->name,
              absl::StrCat("VMEXIT_CR", n, "_WRITE"));
    EXPECT_EQ(FindSvmExit(0x20 + n)->name,
              absl::StrCat("VMEXIT_DR", n, "_READ"));
    EXPECT_EQ(FindSvmExit(0x30 + n)->name,
              absl::StrCat("VMEXIT_DR", n, "_WRITE"));
    EXPECT_EQ(FindSvmExit(0x90 + n)->name,
              absl::StrCat("VMEXIT_CR", n, "_WRITE_TRAP"));
  }
  for (std::uint64_t n = 0; n < 32; ++n) {
    EXPECT_EQ(FindSvmExit(0x40 + n)->name, absl::StrCat("VMEXIT_EXCP", n));
  }
}

TEST(SvmExitTest, MinusOneIsTheSameIn32Bits) {
  for (const std::uint64_t code : {0xFFFFFFFFull, ~0ull}) {
    EXPECT_STREQ(FindSvmExit(NormalSvmExitCode(code))->name, "VMEXIT_INVALID");
    EXPECT_TRUE(IsSvmEntryFailure(code));
  }
  EXPECT_STREQ(FindSvmExit(NormalSvmExitCode(0xFFFFFFFE))->name, "VMEXIT_BUSY");
  EXPECT_EQ(NormalSvmExitCode(0xF0000000), 0xF0000000);
  EXPECT_EQ(NormalSvmExitCode(0x80000001), 0x80000001);
  EXPECT_FALSE(IsSvmEntryFailure(0x7F));
}

TEST(SvmInfoTest, Ioio) {
  EXPECT_EQ(Info1(SvmExitCode::kIoio, 0x00E00210),
            "direction OUT, 1 byte, 64-bit address, port 0xe0");
  EXPECT_EQ(Info1(SvmExitCode::kIoio, 0x03F8014D | 3 << 10),
            "direction IN, string instruction, REP prefixed, 4 bytes, 32-bit "
            "address, segment DS, port 0x3f8");
  EXPECT_EQ(Info2(SvmExitCode::kIoio, 0x1002), "next rIP 0x1002");
  constexpr std::uint64_t kIn = 0x03F80221;
  static_assert(SvmIoioInfo::kPort.Of(kIn) == 0x3F8);
  static_assert(SvmIoioInfo::kIn.IsSet(kIn));
  static_assert(SvmIoioInfo::kSize16.IsSet(kIn));
}

TEST(SvmInfoTest, NestedPageFault) {
  EXPECT_EQ(Info1(SvmExitCode::kNpf, 0x100000006),
            "write (RW), user (US), guest's final physical address");
  EXPECT_EQ(Info1(SvmExitCode::kNpf, 0x20000000F),
            "present (P), write (RW), user (US), reserved bit set (RSV), guest "
            "page-table walk");
  EXPECT_EQ(Info2(SvmExitCode::kNpf, 0xFEE00300),
            "guest-physical address 0xfee00300");
}

TEST(SvmInfoTest, RegistersWithDecodeAssists) {
  EXPECT_EQ(Info1(SvmExitCode::kCr0Write, 0x8000000000000003),
            "general-purpose register RBX, MOV CRx");
  EXPECT_EQ(Info1(SvmExitCode::kCr0Write, 0), "") << "CLTS, LMSW";
  EXPECT_EQ(Info1(SvmExitCode::kDr0Read, 0xF), "general-purpose register R15");
}

TEST(SvmInfoTest, Exceptions) {
  EXPECT_EQ(DescribeBitFields(FindSvmExit(0x4E)->info1, 0x15),
            "present (P), user (US), instruction fetch (ID)");
  EXPECT_EQ(DescribeBitFields(FindSvmExit(0x4E)->info2, 0xDEAD000),
            "linear address 0xdead000");
  EXPECT_EQ(DescribeBitFields(FindSvmExit(0x4D)->info1, 0x18),
            "error code 0x18");
  EXPECT_TRUE(FindSvmExit(0x46)->info1.empty()) << "#UD has no error code";
}

TEST(SvmInfoTest, TaskSwitch) {
  EXPECT_EQ(Info1(SvmExitCode::kTaskSwitch, 0x28), "TSS selector 0x28");
  EXPECT_EQ(Info2(SvmExitCode::kTaskSwitch, 1ull << 44 | 1ull << 48 | 7),
            "error code 0x7, error code pushed, RFLAGS.RF");
  EXPECT_EQ(Info2(SvmExitCode::kTaskSwitch, 1ull << 36), "by IRET");
  EXPECT_EQ(Info2(SvmExitCode::kTaskSwitch, 1ull << 38), "by a far jump");
}

TEST(SvmInfoTest, Avic) {
  EXPECT_EQ(Info1(SvmExitCode::kAvicIncompleteIpi, 0x02000000000040FD),
            "ICR low 0x40fd, ICR high 0x2000000");
  EXPECT_EQ(Info2(SvmExitCode::kAvicIncompleteIpi, 0x100000003),
            "table index 3, cause target not running");
  EXPECT_EQ(Info1(SvmExitCode::kAvicNoaccel, 0x1000000B0),
            "APIC offset 0xb0, access write");
  EXPECT_EQ(Info2(SvmExitCode::kAvicNoaccel, 0x31), "EOI vector 49");
}

TEST(SvmInfoTest, TheRest) {
  EXPECT_EQ(Info1(SvmExitCode::kMsr, 1), "instruction WRMSR");
  EXPECT_EQ(Info1(SvmExitCode::kMsr, 0), "instruction RDMSR");
  EXPECT_EQ(Info1(SvmExitCode::kSwint, 0x80), "vector 0x80");
  EXPECT_EQ(Info1(SvmExitCode::kInvlpg, 0x1000), "linear address 0x1000");
  EXPECT_EQ(Info2(SvmExitCode::kInvpcid, 2), "INVPCID type 2");
  EXPECT_EQ(Info1(SvmExitCode::kCr0WriteTrap, 0x80000011),
            "new value 0x80000011");
  EXPECT_EQ(Info1(SvmExitCode::kSmi, 1), "source external");
}

TEST(SvmExitTextTest, FailedEntry) {
  EXPECT_EQ(DescribeSvmExit({.entry_failed = true, .reason = 0xFFFFFFFF}),
            "VMEXIT_INVALID, invalid guest state in the VMCB (EXITCODE "
            "0xffffffffffffffff)");
}

TEST(SvmExitTextTest, NestedPageFaultDuringDelivery) {
  EXPECT_EQ(DescribeSvmExit({.reason = 0x400,
                             .info1 = 0x100000004,
                             .info2 = 0xFE000,
                             .intr_info = 0x80000B0E,
                             .error_code = 2}),
            "VMEXIT_NPF, nested page fault (EXITCODE 0x400); EXITINFO1 "
            "0x100000004: user (US), guest's final physical address; EXITINFO2 "
            "0xfe000: guest-physical address 0xfe000; EXITINTINFO "
            "0x280000b0e: vector 14, type exception, error code 0x2 (#PF)");
}

TEST(SvmExitTextTest, WhatIsNotKnownIsGivenAsItIs) {
  EXPECT_EQ(DescribeSvmExit({.reason = 0x1234, .info1 = 5, .info2 = 0}),
            "unknown exit code (EXITCODE 0x1234); EXITINFO1 0x5");
  EXPECT_THAT(DescribeSvmExit({.reason = 0x72}),
              StartsWith("VMEXIT_CPUID (EXITCODE 0x72)"));
}

}  // namespace
}  // namespace worldswitch
