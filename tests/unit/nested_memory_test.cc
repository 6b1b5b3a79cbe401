// The memory of a native VM, in both formats: what the tables hold after each
// change.

#include "backends/native/nested_memory.h"

#include <cstdint>
#include <cstring>

#include "gtest/gtest.h"
#include "tests/unit/nested_walk.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

class NestedMemoryTest : public ::testing::TestWithParam<NestedFormat> {
 protected:
  NestedMemory Make(NestedPageSize largest) {
    return {host_.services(), GetParam(), largest, NestedPageSize::k2MiB};
  }
  NestedLeaf LeafOf(const NestedMemory& memory, std::uint64_t gpa) const {
    return Walk(memory.root(), gpa, GetParam());
  }
  bool IsPresent(const NestedMemory& memory, std::uint64_t gpa) const {
    return (LeafOf(memory, gpa).entry & 1) != 0;  // EPT: readable
  }
  bool IsWritable(const NestedMemory& memory, std::uint64_t gpa) const {
    return (LeafOf(memory, gpa).entry & 2) != 0;
  }
  // The CPU refuses the entry: EPT, a write without a read; NPT, a reserved
  // bit.
  bool IsPoisoned(const NestedMemory& memory, std::uint64_t gpa) const {
    const std::uint64_t entry = LeafOf(memory, gpa).entry;
    return GetParam() == NestedFormat::kEpt
               ? (entry & 3) == 2
               : (entry & 1) != 0 && (entry >> 51 & 1) != 0;
  }

  FakePages host_;
};

TEST_P(NestedMemoryTest, IsMappedWholeInThePagesAskedFor) {
  NestedMemory small = Make(NestedPageSize::k4KiB);
  ASSERT_TRUE(small.Create(4 * kMiB));
  EXPECT_EQ(LeafOf(small, 0).level, 0);
  NestedMemory memory = Make(NestedPageSize::k2MiB);
  ASSERT_TRUE(memory.Create(5 * kMiB));
  EXPECT_EQ(memory.view().size, 5 * kMiB);
  EXPECT_EQ(LeafOf(memory, 3 * kMiB).level, 1);
  EXPECT_EQ(LeafOf(memory, 4 * kMiB).level, 0);
  EXPECT_EQ(LeafOf(memory, 5 * kMiB - 1).entry & kEntryAddress,
            reinterpret_cast<std::uint64_t>(
                memory.view().At(5 * kMiB - kPageBytes, 1)));
  EXPECT_FALSE(IsPresent(memory, 5 * kMiB));
}

TEST_P(NestedMemoryTest, TakesWhatAlignmentTheHostHas) {
  host_.most_alignment = kPageBytes;
  NestedMemory memory = Make(NestedPageSize::k2MiB);
  ASSERT_TRUE(memory.Create(4 * kMiB));
  EXPECT_TRUE(IsPresent(memory, 0));
}

TEST_P(NestedMemoryTest, SaysThatTheHostHasNoPages) {
  FakePages few(4);
  NestedMemory memory(few.services(), GetParam(), NestedPageSize::k4KiB,
                      NestedPageSize::k4KiB);
  EXPECT_FALSE(memory.Create(kMiB));
  FakePages none(0);
  NestedMemory without_root(none.services(), GetParam(), NestedPageSize::k4KiB,
                            NestedPageSize::k4KiB);
  EXPECT_FALSE(without_root.Create(kMiB));
  EXPECT_FALSE(Make(NestedPageSize::k4KiB).Create(0));
  EXPECT_FALSE(Make(NestedPageSize::k4KiB).Create(17 * kGiB));
}

TEST_P(NestedMemoryTest, WhatIsDiscardedIsServedAgain) {
  NestedMemory memory = Make(NestedPageSize::k2MiB);
  ASSERT_TRUE(memory.Create(4 * kMiB));
  EXPECT_EQ(LeafOf(memory, 0).level, 1);
  std::byte* const byte = memory.view().At(0x7000, 1);
  *byte = std::byte{0x5A};
  ASSERT_TRUE(memory.Discard(0x7000, kPageBytes));
  EXPECT_EQ(LeafOf(memory, 0x7000).entry, 0u);
  EXPECT_TRUE(IsPresent(memory, 0x8000));
  EXPECT_EQ(*byte, std::byte{0});
  EXPECT_TRUE(memory.Serve(0x7123));
  EXPECT_EQ(LeafOf(memory, 0x7000).entry & kEntryAddress,
            reinterpret_cast<std::uint64_t>(byte));
  EXPECT_TRUE(memory.Serve(0x7123)) << "it is there";
  // A page of 2 MiB comes back as one.
  ASSERT_TRUE(memory.Discard(2 * kMiB, 2 * kMiB));
  EXPECT_TRUE(memory.Serve(3 * kMiB));
  EXPECT_EQ(LeafOf(memory, 2 * kMiB).level, 1);
  EXPECT_FALSE(memory.Discard(0x7001, kPageBytes));
  EXPECT_FALSE(memory.Discard(4 * kMiB, kPageBytes));
  EXPECT_FALSE(memory.Serve(4 * kMiB));
}

TEST_P(NestedMemoryTest, AStateThatWasAskedForIsNotServed) {
  NestedMemory memory = Make(NestedPageSize::k4KiB);
  ASSERT_TRUE(memory.Create(4 * kMiB));
  for (const NestedPageState state :
       {NestedPageState::kReadOnly, NestedPageState::kNotPresent,
        NestedPageState::kMisconfigured}) {
    ASSERT_EQ(memory.SetState(0x9123, state), Result::kOk);
    EXPECT_EQ(IsPoisoned(memory, 0x9000),
              state == NestedPageState::kMisconfigured);
    EXPECT_EQ(IsWritable(memory, 0x9000),
              state == NestedPageState::kMisconfigured);
    EXPECT_FALSE(memory.Serve(0x9000));
    EXPECT_TRUE(memory.Serve(0xA000));
    ASSERT_EQ(memory.SetState(0x9000, NestedPageState::kMapped), Result::kOk);
    EXPECT_TRUE(memory.Serve(0x9000));
    EXPECT_TRUE(IsWritable(memory, 0x9000));
  }
  // What is taken away is in no state any more.
  ASSERT_EQ(memory.SetState(0x9000, NestedPageState::kNotPresent), Result::kOk);
  ASSERT_TRUE(memory.Discard(0x9000, kPageBytes));
  EXPECT_TRUE(memory.Serve(0x9000));
}

TEST_P(NestedMemoryTest, TheStateIsTheWholePages) {
  NestedMemory memory = Make(NestedPageSize::k2MiB);
  ASSERT_TRUE(memory.Create(4 * kMiB));
  const std::uint64_t entry = LeafOf(memory, 2 * kMiB).entry;
  ASSERT_EQ(memory.SetState(3 * kMiB, NestedPageState::kMisconfigured),
            Result::kOk);
  EXPECT_TRUE(IsPoisoned(memory, 2 * kMiB));
  EXPECT_FALSE(IsPoisoned(memory, 2 * kMiB - 1));
  ASSERT_EQ(memory.SetState(2 * kMiB, NestedPageState::kMapped), Result::kOk);
  EXPECT_EQ(LeafOf(memory, 4 * kMiB - 1).entry, entry);
}

TEST_P(NestedMemoryTest, TheHoleIsEmptyOrMisconfigured) {
  NestedMemory memory = Make(NestedPageSize::k4KiB);
  ASSERT_TRUE(memory.Create(4 * kMiB));
  constexpr std::uint64_t kHole = 8 * kMiB;
  for (const NestedPageState state :
       {NestedPageState::kMapped, NestedPageState::kReadOnly}) {
    EXPECT_EQ(memory.SetState(kHole, state), Result::kError);
  }
  ASSERT_EQ(memory.SetState(kHole + 1, NestedPageState::kMisconfigured),
            Result::kOk);
  EXPECT_TRUE(IsPoisoned(memory, kHole));
  EXPECT_FALSE(memory.Contains(kHole));
  EXPECT_FALSE(memory.Serve(kHole));
  ASSERT_EQ(memory.SetState(kHole, NestedPageState::kNotPresent), Result::kOk);
  EXPECT_EQ(LeafOf(memory, kHole).entry, 0u);
  // Nor anything behind the aliases.
  EXPECT_EQ(memory.SetState(64 * kGiB, NestedPageState::kMisconfigured),
            Result::kError);
}

TEST_P(NestedMemoryTest, AliasOfEachSizeThatThereIs) {
  NestedMemory memory = Make(NestedPageSize::k4KiB);
  ASSERT_TRUE(memory.Create(kMiB));
  const auto byte =
      reinterpret_cast<std::uint64_t>(memory.view().At(0x4321, 1));
  for (const NestedPageSize size :
       {NestedPageSize::k4KiB, NestedPageSize::k2MiB}) {
    std::uint64_t alias = 0;
    ASSERT_EQ(memory.MapAlias(0x4321, size, &alias), Result::kOk);
    EXPECT_TRUE(memory.Contains(alias));
    EXPECT_EQ(memory.view().At(alias, 1), nullptr);
    const NestedLeaf made = LeafOf(memory, alias);
    EXPECT_EQ(made.level, static_cast<int>(size));
    EXPECT_EQ((made.entry & kEntryAddress) + alias % BytesOf(size), byte);
    for (const NestedPageState state :
         {NestedPageState::kNotPresent, NestedPageState::kMisconfigured}) {
      ASSERT_EQ(memory.SetState(alias, state), Result::kOk);
      EXPECT_EQ(LeafOf(memory, alias).level, static_cast<int>(size));
      EXPECT_EQ(IsPoisoned(memory, alias),
                state == NestedPageState::kMisconfigured);
      EXPECT_FALSE(memory.Serve(alias));
      ASSERT_EQ(memory.SetState(alias, NestedPageState::kMapped), Result::kOk);
      EXPECT_EQ(LeafOf(memory, alias).entry, made.entry);
    }
    // Made again, it is as new.
    ASSERT_EQ(memory.SetState(alias, NestedPageState::kReadOnly), Result::kOk);
    EXPECT_FALSE(IsWritable(memory, alias));
    ASSERT_EQ(memory.MapAlias(0x4321, size, &alias), Result::kOk);
    EXPECT_EQ(LeafOf(memory, alias).entry, made.entry);
  }
  EXPECT_TRUE(memory.Contains(0x4321));
  std::uint64_t alias = 0;
  EXPECT_EQ(memory.MapAlias(0x4321, NestedPageSize::k1GiB, &alias),
            Result::kUnsupported);
  EXPECT_EQ(memory.MapAlias(kMiB, NestedPageSize::k4KiB, &alias),
            Result::kError);
}

INSTANTIATE_TEST_SUITE_P(
    All, NestedMemoryTest,
    ::testing::Values(NestedFormat::kEpt, NestedFormat::kNpt),
    [](const ::testing::TestParamInfo<NestedFormat>& test) {
      return test.param == NestedFormat::kEpt ? "Ept" : "Npt";
    });

}  // namespace
}  // namespace worldswitch
