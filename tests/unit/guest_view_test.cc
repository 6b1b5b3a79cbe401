// Guest memory by linear address, through page tables made by hand.

#include "backends/native/guest_view.h"

#include <cstdint>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kPresent = 1;
constexpr std::uint64_t kLarge = 1 << 7;
constexpr std::uint64_t kTables = 0x1000;  // PML4, then as they are needed
constexpr std::uint64_t kMemory = 0x40'0000;

class GuestViewTest : public ::testing::Test {
 protected:
  GuestViewTest() : bytes_(kMemory) {
    for (std::uint64_t i = 0; i < kMemory; ++i) {
      bytes_[i] = static_cast<std::byte>(i / kPage * 7 + i);
    }
    std::memset(bytes_.data() + kTables, 0, 8 * kPage);
  }

  MemoryView memory() {
    return {.host = bytes_.data(), .gpa = 0, .size = kMemory};
  }
  static GuestPaging LongMode() {
    return {.cr0 = 0x80000001, .cr3 = kTables, .cr4 = 0x20, .efer = 0x500};
  }
  GuestView View() { return {memory(), LongMode()}; }

  void Put(std::uint64_t gpa, std::uint64_t entry) {
    std::memcpy(bytes_.data() + gpa, &entry, sizeof(entry));
  }
  // A page of 4096 << (9 * level) bytes.
  void Map(std::uint64_t linear, std::uint64_t gpa, int level) {
    std::uint64_t table = kTables;
    for (int i = 3; i > level; --i) {
      const std::uint64_t at = table + (linear >> (12 + 9 * i)) % 512 * 8;
      std::uint64_t entry = 0;
      std::memcpy(&entry, bytes_.data() + at, sizeof(entry));
      if (entry == 0) {
        next_table_ += kPage;
        entry = next_table_ | kPresent;
        Put(at, entry);
      }
      table = entry & ~(kPage - 1);
    }
    Put(table + (linear >> (12 + 9 * level)) % 512 * 8,
        gpa | kPresent | (level > 0 ? kLarge : 0));
  }

  std::vector<std::byte> bytes_;
  std::uint64_t next_table_ = kTables;
};

std::uint64_t Translated(const GuestView& view, std::uint64_t linear) {
  std::uint64_t gpa = 0;
  EXPECT_TRUE(view.Translate(linear, &gpa)) << std::hex << linear;
  return gpa;
}

TEST_F(GuestViewTest, WithoutPagingLinearIsPhysical) {
  const GuestView view(memory(), {.cr0 = 1, .cr3 = 0, .cr4 = 0, .efer = 0});
  EXPECT_EQ(Translated(view, 0x12345), 0x12345u);
  EXPECT_EQ(Translated(view, 0xffff'ffff), 0xffff'ffffu);
  // Real mode's FFFF:FFFF and beyond: 32 bits are all there are.
  EXPECT_EQ(Translated(view, 0x1'0000'0010), 0x10u);
}

TEST_F(GuestViewTest, PagesOfEverySize) {
  Map(0x7fff'1234'5000, 0x12'3000, 0);
  Map(0x40'0000, 0x20'0000, 1);
  Map(0x80'0000'0000, 0, 2);
  const GuestView view = View();
  EXPECT_EQ(Translated(view, 0x7fff'1234'5678), 0x12'3678u);
  EXPECT_EQ(Translated(view, 0x40'0000), 0x20'0000u);
  EXPECT_EQ(Translated(view, 0x5f'ffff), 0x3f'ffffu);
  EXPECT_EQ(Translated(view, 0x80'0012'3456), 0x12'3456u);
}

TEST_F(GuestViewTest, AttributesAreNoAddress) {
  Map(0x1000, 0x12'3000, 0);
  // No-execute, available bits and protection keys, global, dirty.
  Put(next_table_ + 8, 0xfff0'0000'0012'3000 | 0xf67);
  EXPECT_EQ(Translated(View(), 0x1abc), 0x12'3abcu);
}

TEST_F(GuestViewTest, WhatIsNotMappedIsNotTranslated) {
  std::uint64_t gpa = 0;
  EXPECT_FALSE(View().Translate(0, &gpa));
  Map(0x1000, 0x12'3000, 0);
  EXPECT_TRUE(View().Translate(0x1000, &gpa));
  EXPECT_FALSE(View().Translate(0x2000, &gpa));
  EXPECT_FALSE(View().Translate(0x8000'0000'0000, &gpa));
}

TEST_F(GuestViewTest, TablesOutsideMemoryLeadNowhere) {
  std::uint64_t gpa = 0;
  GuestPaging paging = LongMode();
  paging.cr3 = kMemory;
  EXPECT_FALSE(GuestView(memory(), paging).Translate(0, &gpa));
  paging.cr3 = 0x000f'ffff'ffff'f000;
  EXPECT_FALSE(GuestView(memory(), paging).Translate(0, &gpa));
  Put(kTables, (kMemory + kPage) | kPresent);
  EXPECT_FALSE(View().Translate(0, &gpa));
}

TEST_F(GuestViewTest, Cr3sFlagsAreNoAddress) {
  Map(0x1000, 0x12'3000, 0);
  GuestPaging paging = LongMode();
  paging.cr3 |= 0x8000'0000'0000'0018;
  EXPECT_EQ(Translated(GuestView(memory(), paging), 0x1001), 0x12'3001u);
}

TEST_F(GuestViewTest, OtherPagingTranslatesNothing) {
  Map(0x1000, 0x12'3000, 0);
  std::uint64_t gpa = 0;
  GuestPaging paging = LongMode();
  paging.efer = 0;  // PAE
  EXPECT_FALSE(GuestView(memory(), paging).Translate(0x1000, &gpa));
  paging = LongMode();
  paging.cr4 |= 1 << 12;  // five levels
  EXPECT_FALSE(GuestView(memory(), paging).Translate(0x1000, &gpa));
}

TEST_F(GuestViewTest, ReadsAcrossPagesUpToTheFirstThatIsNotThere) {
  Map(0x1000, 0x12'3000, 0);
  Map(0x2000, 0x10'0000, 0);
  std::vector<std::byte> read(3 * kPage);
  EXPECT_EQ(View().Read(0x1ff0, read.data(), 0x20), 0x20u);
  EXPECT_EQ(std::memcmp(read.data(), bytes_.data() + 0x12'3ff0, 0x10), 0);
  EXPECT_EQ(std::memcmp(read.data() + 0x10, bytes_.data() + 0x10'0000, 0x10),
            0);
  EXPECT_EQ(View().Read(0x1ff0, read.data(), read.size()), kPage + 0x10);
  EXPECT_EQ(View().Read(0x3000, read.data(), 1), 0u);
  EXPECT_EQ(View().Read(0x1000, read.data(), 0), 0u);
}

TEST_F(GuestViewTest, ReadsEndWithTheMemory) {
  const GuestView view(memory(), {.cr0 = 0, .cr3 = 0, .cr4 = 0, .efer = 0});
  std::byte read[32];
  EXPECT_EQ(view.Read(kMemory - 8, read, sizeof(read)), 8u);
  EXPECT_EQ(view.Read(kMemory, read, sizeof(read)), 0u);
}

TEST_F(GuestViewTest, FindsWhatLiesInOnePiece) {
  Map(0x1000, 0x12'3000, 0);
  Map(0x2000, 0x12'4000, 0);
  Map(0x3000, 0x10'0000, 0);
  std::byte* at = nullptr;
  ASSERT_TRUE(View().Find(0x1ff0, 0x20, &at));
  EXPECT_EQ(at, bytes_.data() + 0x12'3ff0);
  ASSERT_TRUE(View().Find(0x1000, 2 * kPage, &at));
  EXPECT_EQ(at, bytes_.data() + 0x12'3000);
  EXPECT_FALSE(View().Find(0x2ff0, 0x20, &at));
  EXPECT_FALSE(View().Find(0x3ff0, 0x20, &at));
  EXPECT_FALSE(View().Find(0x5000, 1, &at));
}

}  // namespace
}  // namespace worldswitch
