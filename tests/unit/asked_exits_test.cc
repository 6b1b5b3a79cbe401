// DR7 as it is made of breakpoints, and a CPUID table that is padded; needs no
// /dev/kvm.

#include <set>
#include <vector>

#include "backends/kvm/kvm_cpuid.h"
#include "core/features/guest_debug.h"
#include "core/features/msr_exits.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

DebugRequest One(std::uint64_t address, BreakpointKind kind,
                 std::uint8_t length) {
  DebugRequest request;
  request.hardware_count = 1;
  request.hardware[0] = {.address = address, .kind = kind, .length = length};
  return request;
}

TEST(Dr7Test, FieldsOfOneBreakpoint) {
  // SDM 3B, "Debug Control Register (DR7)": G0 is bit 1, R/W0 17:16, LEN0
  // 19:18, GE bit 9; bit 10 is always 1.
  constexpr std::uint64_t kAlways = 0x602;
  EXPECT_EQ(Dr7Of(One(0x1001, BreakpointKind::kExecute, 1)), kAlways);
  EXPECT_EQ(Dr7Of(One(0x1001, BreakpointKind::kWrite, 1)), kAlways | 0x10000);
  EXPECT_EQ(Dr7Of(One(0x1002, BreakpointKind::kWrite, 2)), kAlways | 0x50000);
  EXPECT_EQ(Dr7Of(One(0x1004, BreakpointKind::kReadWrite, 4)),
            kAlways | 0xF0000);
  EXPECT_EQ(Dr7Of(One(0x1008, BreakpointKind::kWrite, 8)), kAlways | 0x90000);
}

TEST(Dr7Test, EachBreakpointHasItsOwnFields) {
  DebugRequest request;
  request.hardware_count = kHardwareBreakpoints;
  for (HardwareBreakpoint& point : request.hardware) {
    point = {.address = 0x2000, .kind = BreakpointKind::kWrite, .length = 2};
  }
  EXPECT_EQ(Dr7Of(request), 0x555506AAu);
  request.hardware_count = 2;
  EXPECT_EQ(Dr7Of(request), 0x0055060Au);
}

TEST(Dr7Test, WhatIsNoBreakpointGivesNone) {
  EXPECT_EQ(Dr7Of(One(0x1000, BreakpointKind::kWrite, 3)), 0u);
  EXPECT_EQ(Dr7Of(One(0x1000, BreakpointKind::kWrite, 0)), 0u);
  EXPECT_EQ(Dr7Of(One(0x1002, BreakpointKind::kWrite, 4)), 0u);
  EXPECT_EQ(Dr7Of(One(0x1000, BreakpointKind::kExecute, 2)), 0u);
  DebugRequest five;
  five.hardware_count = kHardwareBreakpoints + 1;
  EXPECT_EQ(Dr7Of(five), 0u);
}

TEST(MsrBitmapTest, WordsOfABitmap) {
  EXPECT_EQ(MsrBitmapWords(1), 1u);
  EXPECT_EQ(MsrBitmapWords(64), 1u);
  EXPECT_EQ(MsrBitmapWords(65), 2u);
  EXPECT_EQ(MsrBitmapWords(MsrExits::kMaxRangeMsrs), 192u);
}

std::vector<kvm_cpuid_entry2> ThreeLeaves() {
  std::vector<kvm_cpuid_entry2> entries(3);
  for (std::uint32_t leaf = 0; leaf < 3; ++leaf) {
    entries[leaf].function = leaf;
    entries[leaf].eax = 100 + leaf;
  }
  return entries;
}

TEST(PadCpuidTest, LeafZeroComesLastBehindLeavesNobodyHas) {
  const auto padded = PadCpuid(ThreeLeaves(), 256);
  ASSERT_EQ(padded.size(), 256u);
  EXPECT_EQ(padded.back().function, 0u);
  EXPECT_EQ(padded.back().eax, 100u);
  std::set<std::uint32_t> leaves;
  for (const kvm_cpuid_entry2& entry : padded) {
    EXPECT_TRUE(leaves.insert(entry.function).second) << entry.function;
  }
  EXPECT_EQ(leaves.count(1), 1u);
  EXPECT_EQ(leaves.count(2), 1u);
}

TEST(CpuidWithoutPmuTest, OnlyTheCountersAreGone) {
  std::vector<kvm_cpuid_entry2> entries(5);
  const std::uint32_t leaves[] = {1, 0xA, 0x80000001, 0x80000022, 7};
  for (std::size_t i = 0; i < entries.size(); ++i) {
    entries[i].function = leaves[i];
    entries[i].eax = entries[i].ebx = entries[i].ecx = entries[i].edx = ~0u;
  }
  const auto without = CpuidWithoutPmu(entries);
  ASSERT_EQ(without.size(), entries.size());
  EXPECT_EQ(without[0].ecx, ~(1u << 15));  // PDCM
  EXPECT_EQ(without[2].ecx, ~(1u << 23 | 1u << 24 | 1u << 28));
  for (const std::size_t empty : {1u, 3u}) {
    EXPECT_EQ(without[empty].eax | without[empty].ebx | without[empty].ecx |
                  without[empty].edx,
              0u);
  }
  for (const std::size_t i : {0u, 2u, 4u}) {
    EXPECT_EQ(without[i].eax & without[i].ebx & without[i].edx, ~0u);
  }
  EXPECT_EQ(without[4].ecx, ~0u);
}

TEST(PadCpuidTest, NothingIsTakenAway) {
  EXPECT_EQ(PadCpuid(ThreeLeaves(), 0).front().function, 0u);
  const auto small = PadCpuid(ThreeLeaves(), 2);
  ASSERT_EQ(small.size(), 3u);
  EXPECT_EQ(small.back().function, 0u);
  EXPECT_TRUE(PadCpuid({}, 256).empty());
}

}  // namespace
}  // namespace worldswitch
