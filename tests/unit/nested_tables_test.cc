// EPT and NPT as the CPU would walk them: entry by entry, by the bits of the
// manuals.

#include "backends/native/nested_tables.h"

#include <cstdint>
#include <optional>

#include "gtest/gtest.h"
#include "tests/unit/nested_walk.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kMiB2 = 2 << 20;
constexpr std::uint64_t kGiB = 1 << 30;

NestedLeaf Walk(const NestedTables& tables, std::uint64_t gpa,
                NestedFormat format) {
  return Walk(tables.root(), gpa, format);
}

class NestedTablesTest : public ::testing::Test {
 protected:
  NestedTables& Make(NestedFormat format, NestedPageSize largest) {
    tables_.emplace(host_.services(), format, largest);
    EXPECT_TRUE(tables_->ok());
    return *tables_;
  }
  FakePages host_;
  std::optional<NestedTables> tables_;
};

TEST_F(NestedTablesTest, EptLeavesAreWriteBackAndReadWriteExecute) {
  NestedTables& tables = Make(NestedFormat::kEpt, NestedPageSize::k4KiB);
  ASSERT_TRUE(tables.Map(0x5000, 0x12'3000, 0x2000));
  const NestedLeaf leaf = Walk(tables, 0x6000, NestedFormat::kEpt);
  EXPECT_EQ(leaf.level, 0);
  // R, W, X, and memory type 6 in bits 5:3; bit 7 is no size here.
  EXPECT_EQ(leaf.entry, 0x12'4000u | 7u | 6u << 3);
  EXPECT_EQ(Walk(tables, 0x7000, NestedFormat::kEpt).entry, 0u);
  EXPECT_EQ(Walk(tables, 0x4000, NestedFormat::kEpt).entry, 0u);
}

TEST_F(NestedTablesTest, EptLeavesOfEverySize) {
  NestedTables& tables = Make(NestedFormat::kEpt, NestedPageSize::k1GiB);
  ASSERT_TRUE(tables.Map(0, 4 * kGiB, kGiB + kMiB2 + 0x1000));
  NestedLeaf leaf = Walk(tables, 0, NestedFormat::kEpt);
  EXPECT_EQ(leaf.level, 2);
  EXPECT_EQ(leaf.entry, 4 * kGiB | 7u | 6u << 3 | 1u << 7);
  leaf = Walk(tables, kGiB, NestedFormat::kEpt);
  EXPECT_EQ(leaf.level, 1);
  EXPECT_EQ(leaf.entry, 5 * kGiB | 7u | 6u << 3 | 1u << 7);
  leaf = Walk(tables, kGiB + kMiB2, NestedFormat::kEpt);
  EXPECT_EQ(leaf.level, 0);
  EXPECT_EQ(leaf.entry, (5 * kGiB + kMiB2) | 7u | 6u << 3);
}

TEST_F(NestedTablesTest, NptLeavesOfEverySize) {
  NestedTables& tables = Make(NestedFormat::kNpt, NestedPageSize::k1GiB);
  ASSERT_TRUE(tables.Map(0, 4 * kGiB, kGiB + kMiB2 + 0x1000));
  NestedLeaf leaf = Walk(tables, 0x1234, NestedFormat::kNpt);
  EXPECT_EQ(leaf.level, 2);
  EXPECT_EQ(leaf.entry, 4 * kGiB | 7u | 1u << 7);
  leaf = Walk(tables, kGiB, NestedFormat::kNpt);
  EXPECT_EQ(leaf.level, 1);
  EXPECT_EQ(leaf.entry, 5 * kGiB | 7u | 1u << 7);
  leaf = Walk(tables, kGiB + kMiB2, NestedFormat::kNpt);
  EXPECT_EQ(leaf.level, 0);
  EXPECT_EQ(leaf.entry, (5 * kGiB + kMiB2) | 7u);
  EXPECT_EQ(Walk(tables, kGiB + kMiB2 + 0x1000, NestedFormat::kNpt).entry, 0u);
}

TEST_F(NestedTablesTest, PagesAreNoLargerThanAskedOrAligned) {
  NestedTables& two = Make(NestedFormat::kEpt, NestedPageSize::k2MiB);
  ASSERT_TRUE(two.Map(0, 4 * kGiB, kGiB));
  EXPECT_EQ(Walk(two, 0, NestedFormat::kEpt).level, 1);
  // Aligned on one side only.
  ASSERT_TRUE(two.Map(2 * kGiB, 4 * kGiB + 0x1000, kMiB2));
  EXPECT_EQ(Walk(two, 2 * kGiB, NestedFormat::kEpt).level, 0);
  EXPECT_EQ(two.Find(2 * kGiB + 0x1fffff).host_physical,
            4 * kGiB + 0x1000 + 0x1fffff);
}

TEST_F(NestedTablesTest, AccessIsTheLeafs) {
  NestedTables& ept = Make(NestedFormat::kEpt, NestedPageSize::k4KiB);
  ASSERT_TRUE(ept.Map(0, 0x1000, 0x1000, kNestedRead));
  EXPECT_EQ(Walk(ept, 0, NestedFormat::kEpt).entry & 7, 1u);
  ASSERT_TRUE(ept.Map(0, 0x1000, 0x1000, kNestedRead | kNestedExecute));
  EXPECT_EQ(Walk(ept, 0, NestedFormat::kEpt).entry & 7, 5u);

  NestedTables& npt = Make(NestedFormat::kNpt, NestedPageSize::k4KiB);
  ASSERT_TRUE(npt.Map(0, 0x1000, 0x1000));
  // Present, writable, and user: every nested access is one.
  EXPECT_EQ(Walk(npt, 0, NestedFormat::kNpt).entry, 0x1000u | 7u);
  ASSERT_TRUE(npt.Map(0, 0x1000, 0x1000, kNestedRead));
  EXPECT_EQ(Walk(npt, 0, NestedFormat::kNpt).entry,
            0x1000u | 5u | std::uint64_t{1} << 63);
}

TEST_F(NestedTablesTest, UnmappingSplitsWhatIsLarger) {
  NestedTables& tables = Make(NestedFormat::kEpt, NestedPageSize::k1GiB);
  ASSERT_TRUE(tables.Map(0, 4 * kGiB, kGiB));
  ASSERT_TRUE(tables.Unmap(0x20'3000, 0x1000));
  EXPECT_EQ(Walk(tables, 0x20'3000, NestedFormat::kEpt).entry, 0u);
  EXPECT_FALSE(tables.Find(0x20'3000).present);
  // Its neighbours lead where they did, at the sizes that are left.
  NestedLeaf leaf = Walk(tables, 0x20'2000, NestedFormat::kEpt);
  EXPECT_EQ(leaf.level, 0);
  EXPECT_EQ(leaf.entry, (4 * kGiB + 0x20'2000) | 7u | 6u << 3);
  leaf = Walk(tables, 0x40'0000, NestedFormat::kEpt);
  EXPECT_EQ(leaf.level, 1);
  EXPECT_EQ(leaf.entry, (4 * kGiB + 0x40'0000) | 7u | 6u << 3 | 1u << 7);
  EXPECT_EQ(tables.Find(kGiB - 1).host_physical, 5 * kGiB - 1);
}

TEST_F(NestedTablesTest, PoisonIsWhatTheCpuRefuses) {
  NestedTables& ept = Make(NestedFormat::kEpt, NestedPageSize::k2MiB);
  ASSERT_TRUE(ept.Map(0, 0, kMiB2));
  ASSERT_TRUE(ept.MapOne(0x1000, 0, NestedPageSize::k4KiB, kNestedPoison));
  // Writable and not readable: a misconfiguration, not a violation.
  EXPECT_EQ(Walk(ept, 0x1000, NestedFormat::kEpt).entry & 7, 2u);
  EXPECT_FALSE(ept.Find(0x1000).present);
  EXPECT_TRUE(ept.Find(0x2000).present);
  // Where nothing was mapped, too.
  ASSERT_TRUE(ept.MapOne(0xd0'0000, 0, NestedPageSize::k4KiB, kNestedPoison));
  EXPECT_EQ(Walk(ept, 0xd0'0000, NestedFormat::kEpt).entry & 7, 2u);

  NestedTables& npt = Make(NestedFormat::kNpt, NestedPageSize::k4KiB);
  ASSERT_TRUE(npt.MapOne(0x1000, 0, NestedPageSize::k4KiB, kNestedPoison));
  const std::uint64_t entry = Walk(npt, 0x1000, NestedFormat::kNpt).entry;
  EXPECT_EQ(entry & 1, 1u);
  EXPECT_NE(entry & std::uint64_t{1} << 51, 0u)
      << "a physical address beyond all";
  EXPECT_FALSE(npt.Find(0x1000).present);
}

TEST_F(NestedTablesTest, FindTellsSizesAndOffsets) {
  NestedTables& tables = Make(NestedFormat::kNpt, NestedPageSize::k2MiB);
  ASSERT_TRUE(tables.Map(0, 8 * kMiB2, kMiB2 + 0x1000));
  NestedTranslation found = tables.Find(0x12'3456);
  EXPECT_TRUE(found.present);
  EXPECT_EQ(found.size, NestedPageSize::k2MiB);
  EXPECT_EQ(found.host_physical, 8 * kMiB2 + 0x12'3456);
  found = tables.Find(kMiB2 + 0x123);
  EXPECT_EQ(found.size, NestedPageSize::k4KiB);
  EXPECT_EQ(found.host_physical, 9 * kMiB2 + 0x123);
  EXPECT_FALSE(tables.Find(kMiB2 + 0x1000).present);
  EXPECT_FALSE(tables.Find(512 * kGiB).present);
}

TEST_F(NestedTablesTest, MapOneIsExactlyThatPage) {
  NestedTables& tables = Make(NestedFormat::kEpt, NestedPageSize::k4KiB);
  ASSERT_TRUE(tables.MapOne(8 * kGiB, kGiB, NestedPageSize::k1GiB));
  NestedLeaf leaf = Walk(tables, 8 * kGiB, NestedFormat::kEpt);
  EXPECT_EQ(leaf.level, 2);
  EXPECT_EQ(leaf.entry, kGiB | 7u | 6u << 3 | 1u << 7);
  // In the place of smaller ones, whose tables are given back.
  ASSERT_TRUE(tables.Map(0, 0, 2 * kMiB2));
  ASSERT_TRUE(tables.MapOne(kMiB2, 4 * kMiB2, NestedPageSize::k2MiB));
  leaf = Walk(tables, kMiB2, NestedFormat::kEpt);
  EXPECT_EQ(leaf.level, 1);
  EXPECT_EQ(leaf.entry, 4 * kMiB2 | 7u | 6u << 3 | 1u << 7);
  EXPECT_EQ(Walk(tables, 0, NestedFormat::kEpt).level, 0);
  // And the other way round.
  ASSERT_TRUE(tables.MapOne(kMiB2 + 0x1000, 0x9000, NestedPageSize::k4KiB));
  EXPECT_EQ(tables.Find(kMiB2 + 0x1000).host_physical, 0x9000u);
  EXPECT_EQ(tables.Find(kMiB2 + 0x2000).host_physical, 4 * kMiB2 + 0x2000);
}

TEST_F(NestedTablesTest, MapOneWithoutAccessIsNotPresent) {
  NestedTables& ept = Make(NestedFormat::kEpt, NestedPageSize::k2MiB);
  ASSERT_TRUE(ept.MapOne(kMiB2, kMiB2, NestedPageSize::k2MiB, 0));
  EXPECT_EQ(Walk(ept, kMiB2, NestedFormat::kEpt).entry & 7, 0u);
  EXPECT_FALSE(ept.Find(kMiB2).present);
  NestedTables& npt = Make(NestedFormat::kNpt, NestedPageSize::k2MiB);
  ASSERT_TRUE(npt.MapOne(kMiB2, kMiB2, NestedPageSize::k2MiB, 0));
  EXPECT_EQ(Walk(npt, kMiB2, NestedFormat::kNpt).entry & 1, 0u);
  EXPECT_FALSE(npt.Find(kMiB2).present);
}

TEST_F(NestedTablesTest, RestrictedIsWhatAllowsLessThanAll) {
  for (const NestedFormat format : {NestedFormat::kEpt, NestedFormat::kNpt}) {
    NestedTables& tables = Make(format, NestedPageSize::k2MiB);
    EXPECT_FALSE(tables.Find(0).restricted);
    ASSERT_TRUE(tables.Map(0, 0, kMiB2));
    EXPECT_FALSE(tables.Find(0).restricted);
    std::uint64_t page = 0;
    for (const NestedAccess access :
         {NestedAccess{0}, kNestedRead,
          NestedAccess{kNestedRead | kNestedWrite},
          NestedAccess{kNestedRead | kNestedExecute}, kNestedPoison}) {
      page += kPageBytes;
      // At address 0, too: no bit of it makes an entry.
      ASSERT_TRUE(tables.MapOne(page, 0, NestedPageSize::k4KiB, access));
      EXPECT_TRUE(tables.Find(page).restricted) << int{access};
    }
    ASSERT_TRUE(tables.Unmap(0, kMiB2));
    EXPECT_FALSE(tables.Find(page).restricted);
  }
}

TEST_F(NestedTablesTest, ARestrictedPageIsSplitIntoSuchPages) {
  for (const NestedFormat format : {NestedFormat::kEpt, NestedFormat::kNpt}) {
    NestedTables& tables = Make(format, NestedPageSize::k2MiB);
    ASSERT_TRUE(tables.MapOne(0, kMiB2, NestedPageSize::k2MiB, 0));
    ASSERT_TRUE(tables.Unmap(0x3000, 0x1000));
    EXPECT_FALSE(tables.Find(0x3000).restricted);
    EXPECT_TRUE(tables.Find(0x4000).restricted);
    EXPECT_FALSE(tables.Find(0x4000).present);
  }
}

TEST_F(NestedTablesTest, MappingAgainReplaces) {
  NestedTables& tables = Make(NestedFormat::kEpt, NestedPageSize::k2MiB);
  ASSERT_TRUE(tables.Map(0, kMiB2, kMiB2));
  ASSERT_TRUE(tables.Unmap(0, kMiB2));
  EXPECT_FALSE(tables.Find(0).present);
  ASSERT_TRUE(tables.Map(0x3000, 0x9000, 0x1000));
  EXPECT_EQ(tables.Find(0x3000).host_physical, 0x9000u);
  EXPECT_FALSE(tables.Find(0x4000).present);
}

TEST(NestedTablesOnAFullHost, SayThatThereIsNoPage) {
  FakePages none(0);
  const NestedTables without_root(none.services(), NestedFormat::kEpt,
                                  NestedPageSize::k4KiB);
  EXPECT_FALSE(without_root.ok());

  FakePages few(4);  // two tables, of two pages each
  NestedTables tables(few.services(), NestedFormat::kEpt,
                      NestedPageSize::k4KiB);
  ASSERT_TRUE(tables.ok());
  EXPECT_FALSE(tables.Map(0, 0, 0x1000));
  EXPECT_FALSE(tables.MapOne(0, 0, NestedPageSize::k4KiB));
  EXPECT_FALSE(tables.Find(0).present);
}

}  // namespace
}  // namespace worldswitch
