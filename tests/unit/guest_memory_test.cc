// Guest memory of every backing: zero-filled, move-only, discarded on demand.

#include "core/host/guest_memory.h"

#include <sys/mman.h>

#include <cstring>
#include <string>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kHugePage = std::uint64_t{2} << 20;

class GuestMemoryTest : public ::testing::TestWithParam<MemoryBacking> {
 protected:
  // Of at least 4 MiB. Unset, and the test skipped with the reason, where this
  // host has no such memory.
  void SetUp() override {
    absl::StatusOr<GuestMemory> made =
        GuestMemory::Create(2 * kHugePage, GetParam());
    if (!made.ok() && GetParam() == MemoryBacking::kHugetlb) {
      GTEST_SKIP() << made.status();
    }
    ASSERT_TRUE(made.ok()) << made.status();
    memory_ = *std::move(made);
  }

  GuestMemory memory_;
};

INSTANTIATE_TEST_SUITE_P(AllBackings, GuestMemoryTest,
                         ::testing::Values(MemoryBacking::kAnonymous,
                                           MemoryBacking::kHuge,
                                           MemoryBacking::kHugetlb,
                                           MemoryBacking::kMemfd),
                         [](const auto& info) {
                           return std::string(MemoryBackingName(info.param));
                         });

TEST_P(GuestMemoryTest, IsZeroFilledAndWritableFromEndToEnd) {
  EXPECT_EQ(memory_.size(), 2 * kHugePage);
  EXPECT_EQ(memory_.backing(), GetParam());
  for (const std::uint64_t offset : {std::uint64_t{0}, memory_.size() - 1}) {
    EXPECT_EQ(memory_.data()[offset], std::byte{0});
    memory_.data()[offset] = std::byte{0x5a};
    EXPECT_EQ(memory_.data()[offset], std::byte{0x5a});
  }
}

TEST_P(GuestMemoryTest, DiscardTakesExactlyThatRangeAway) {
  std::memset(memory_.data(), 0x5a, memory_.size());
  ASSERT_TRUE(memory_.Discard(kHugePage, kHugePage).ok());
  EXPECT_EQ(memory_.data()[kHugePage - 1], std::byte{0x5a});
  EXPECT_EQ(memory_.data()[kHugePage], std::byte{0});
  EXPECT_EQ(memory_.data()[2 * kHugePage - 1], std::byte{0});
  memory_.data()[kHugePage] = std::byte{1};
  EXPECT_EQ(memory_.data()[kHugePage], std::byte{1});
}

TEST_P(GuestMemoryTest, DiscardRefusesWhatIsOutsideOrNotAligned) {
  EXPECT_EQ(memory_.Discard(0, memory_.size() + kHugePage).code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(memory_.Discard(~(kHugePage - 1), 2 * kHugePage).code(),
            absl::StatusCode::kOutOfRange);
  EXPECT_EQ(memory_.Discard(1, kHugePage).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(memory_.Discard(0, 1).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(memory_.Discard(memory_.size(), 0).ok());
}

TEST_P(GuestMemoryTest, MovingLeavesNothingBehind) {
  std::byte* const data = memory_.data();
  GuestMemory moved = std::move(memory_);
  EXPECT_EQ(moved.data(), data);
  // NOLINTNEXTLINE(bugprone-use-after-move): what is left is the point.
  EXPECT_EQ(memory_.data(), nullptr);
  EXPECT_EQ(memory_.size(), 0u);
  EXPECT_EQ(memory_.fd(), -1);
  memory_ = std::move(moved);
  EXPECT_EQ(memory_.data(), data);
  memory_.data()[0] = std::byte{1};
}

TEST_P(GuestMemoryTest, RefusesSizesThatAreNoPages) {
  for (const std::uint64_t bytes : {std::uint64_t{0}, kPage - 1, kPage + 1}) {
    const absl::StatusOr<GuestMemory> made =
        GuestMemory::Create(bytes, GetParam());
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(made.status().message()),
                HasSubstr("multiple of 4096"));
  }
}

TEST_P(GuestMemoryTest, MoreThanThereCanBeIsAnErrorThatNamesTheBacking) {
  for (const std::uint64_t bytes : {std::uint64_t{1} << 62, 0 - kPage}) {
    const absl::StatusOr<GuestMemory> made =
        GuestMemory::Create(bytes, GetParam());
    ASSERT_FALSE(made.ok());
    EXPECT_THAT(std::string(made.status().message()),
                HasSubstr(MemoryBackingName(GetParam())));
  }
}

TEST(GuestMemoryHugeTest, IsAlignedAndRoundedUpToHugePages) {
  absl::StatusOr<GuestMemory> memory =
      GuestMemory::Create(kHugePage + kPage, MemoryBacking::kHuge);
  ASSERT_TRUE(memory.ok()) << memory.status();
  EXPECT_EQ(memory->size(), 2 * kHugePage);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory->data()) % kHugePage, 0u);
}

TEST(GuestMemoryHugetlbTest, AShortPoolIsAnErrorThatSaysHowToFillIt) {
  // 1 TiB: more than any pool that a test finds.
  const absl::StatusOr<GuestMemory> memory =
      GuestMemory::Create(std::uint64_t{1} << 40, MemoryBacking::kHugetlb);
  ASSERT_FALSE(memory.ok());
  EXPECT_THAT(
      std::string(memory.status().message()),
      AllOf(
          HasSubstr("hugetlb"), HasSubstr("failed: E"),
          HasSubstr("needs 524288 pages of 2 MiB"), HasSubstr("echo "),
          HasSubstr("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")));
}

TEST(GuestMemoryMemfdTest, AnotherMappingOfTheDescriptorSeesTheSameBytes) {
  absl::StatusOr<GuestMemory> memory =
      GuestMemory::Create(kPage, MemoryBacking::kMemfd);
  ASSERT_TRUE(memory.ok()) << memory.status();
  ASSERT_GE(memory->fd(), 0);
  void* other = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, memory->fd(), 0);
  ASSERT_NE(other, MAP_FAILED);
  memory->data()[7] = std::byte{0x77};
  EXPECT_EQ(static_cast<std::byte*>(other)[7], std::byte{0x77});
  ASSERT_TRUE(memory->Discard(0, kPage).ok());
  EXPECT_EQ(static_cast<std::byte*>(other)[7], std::byte{0});
  munmap(other, kPage);
}

TEST(GuestMemoryAnonymousTest, HasNoDescriptor) {
  absl::StatusOr<GuestMemory> memory =
      GuestMemory::Create(kPage, MemoryBacking::kAnonymous);
  ASSERT_TRUE(memory.ok());
  EXPECT_EQ(memory->fd(), -1);
}

}  // namespace
}  // namespace worldswitch
