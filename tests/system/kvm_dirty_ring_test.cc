// The dirty ring on the real /dev/kvm: pages in the order they were written,
// and the exit when it is full.

#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "guests/guests.h"
#include "tests/system/kvm_memory_fixture.h"

namespace worldswitch {
namespace {

using ::testing::ElementsAre;

// Writes a byte to every 0x3000th byte, count times from the start.
WS_GUEST(Stride,
         "mov $0x8000000, %ebx; mov $5, %ecx; 1: movb $1, (%rbx);"
         "add $0x3000, %ebx; dec %ecx; jnz 1b; hlt")
// Writes to page after page, for ever: 0x800 of them, round and round. Slowly,
// since an engine that emulates ring 0 in batches of some 1000 instructions
// looks at the ring between batches only, and a ring has 64 entries to spare.
WS_GUEST(Sweep,
         "xor %ecx, %ecx; 1: mov %ecx, %ebx; and $0x7FF000, %ebx;"
         "movb $1, 0x8000000(%rbx); add $0x1000, %ecx; .rept 40; nop; .endr;"
         "jmp 1b")

// The same at CPL 3, made for LoadCode.
WS_GUEST(UserStride,
         "mov $0x8000000, %ebx; mov $5, %ecx; 1: movb $1, (%rbx);"
         "add $0x3000, %ebx; dec %ecx; jnz 1b; out %al, $0xe1")

class KvmDirtyRingTest : public KvmMemoryTest {
 protected:
  static constexpr std::uint32_t kEntries = 1024;

  void MakeWithRing() {
    const Knob* const knob = backend_->knobs().Find("dirty_ring");
    ASSERT_NE(knob, nullptr);
    if (!knob->not_settable.empty()) GTEST_SKIP() << knob->not_settable;
    Make({{"dirty_ring", std::to_string(kEntries)}});
  }
  std::vector<DirtyPage> Harvest(std::uint32_t count = kEntries) {
    std::vector<DirtyPage> pages(count);
    pages.resize(log_->harvest(0, pages.data(), count));
    return pages;
  }
  std::vector<std::uint64_t> HarvestPages() {
    std::vector<std::uint64_t> indices;
    for (const DirtyPage& page : Harvest()) {
      EXPECT_EQ(page.slot, 1u);
      indices.push_back(page.page);
    }
    return indices;
  }
};

TEST_F(KvmDirtyRingTest, TheRingNamesExactlyThePagesWrittenInOrder) {
  MakeWithRing();
  if (IsSkipped()) return;
  EXPECT_EQ(log_->ring_entries(), kEntries);
  AddSlot(0x20000, kLogDirtyPages);
  for (int round = 0; round < 2; ++round) {
    Start(StrideCode());
    ASSERT_EQ(Run().reason, ExitReason::kHlt);
    EXPECT_THAT(HarvestPages(), ElementsAre(0, 3, 6, 9, 12));
    EXPECT_THAT(HarvestPages(), ElementsAre());
    std::uint32_t reset = 0;
    ASSERT_EQ(log_->reset_rings(&reset), Result::kOk);
    EXPECT_EQ(reset, 5u);
  }
}

TEST_F(KvmDirtyRingTest, WhatRing3WroteIsInTheRing) {
  MakeWithRing();
  if (IsSkipped()) return;
  AddSlot(0x20000, kLogDirtyPages);
  const std::vector<unsigned char> code = UserStrideCode();
  ASSERT_EQ(LoadCode(*vm_, 0, GuestMode::kRing3, code.data(),
                     static_cast<std::uint32_t>(code.size())),
            Result::kOk);
  ASSERT_EQ(Run().reason, ExitReason::kIo);
  EXPECT_THAT(HarvestPages(), ElementsAre(0, 3, 6, 9, 12));
}

TEST_F(KvmDirtyRingTest, AFullRingExitsUntilItIsHarvestedAndLosesNothing) {
  MakeWithRing();
  if (IsSkipped()) return;
  constexpr std::uint64_t kPages = 0x800;
  AddSlot(kPages * 4096, kLogDirtyPages);
  Start(SweepCode());
  std::set<std::uint64_t> seen;
  for (int round = 0; round < 6; ++round) {
    ASSERT_EQ(Run().reason, ExitReason::kDirtyRingFull);
    ASSERT_EQ(Run().reason, ExitReason::kDirtyRingFull) << "and again";
    const std::vector<DirtyPage> pages = Harvest();
    ASSERT_GT(pages.size(), kEntries / 8);
    ASSERT_LE(pages.size(), kEntries);
    for (const DirtyPage& page : pages) {
      EXPECT_EQ(page.slot, 1u);
      seen.insert(page.page);
    }
    std::uint32_t reset = 0;
    ASSERT_EQ(log_->reset_rings(&reset), Result::kOk);
    EXPECT_EQ(reset, pages.size());
  }
  EXPECT_EQ(seen.size(), kPages);
}

TEST_F(KvmDirtyRingTest, ARingLengthThatIsNoPowerOfTwoIsRefused) {
  if (!backend_->knobs().Find("dirty_ring")->not_settable.empty()) {
    GTEST_SKIP() << backend_->knobs().Find("dirty_ring")->not_settable;
  }
  VmConfig config;
  config.knobs["dirty_ring"] = "1000";
  EXPECT_EQ(backend_->CreateVm(config).status().code(),
            absl::StatusCode::kInvalidArgument);
  Make();
  EXPECT_EQ(log_->ring_entries(), 0u);
  EXPECT_EQ(log_->reset_rings(nullptr), Result::kUnsupported);
}

}  // namespace
}  // namespace worldswitch
