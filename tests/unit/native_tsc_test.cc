// What the boot image makes of CPUID's words and the PIT's counts.

#include <cstdint>

#include "gtest/gtest.h"
#include "native/tsc_frequency.h"

namespace worldswitch::native {
namespace {

constexpr std::uint32_t kMostOfWord = 0xffffffff;
constexpr std::uint64_t kMost = ~std::uint64_t{0};
// 50 ms of the PIT's clock of 13125000 / 11 Hz.
constexpr std::uint32_t kCount = 59'659;

// 25 MHz * 100 / 1, and 2.5 GHz on the box.
constexpr TscLeaves kLeaves = {.last_leaf = 0x16,
                               .signature = 0x000806c1,
                               .denominator = 1,
                               .numerator = 100,
                               .crystal_hz = 25'000'000,
                               .base_mhz = 2500};

TEST(CrystalTscHzTest, CrystalTimesRatioRounded) {
  EXPECT_EQ(CrystalTscHz(kLeaves), 2'500'000'000u);
  TscLeaves leaves = kLeaves;
  leaves.crystal_hz = 38'400'000;
  leaves.numerator = 157;
  leaves.denominator = 2;
  EXPECT_EQ(CrystalTscHz(leaves), 3'014'400'000u);
  leaves.crystal_hz = 25'000'000;
  leaves.numerator = 200;
  leaves.denominator = 3;  // 1666666666.67
  EXPECT_EQ(CrystalTscHz(leaves), 1'666'666'667u);
}

TEST(CrystalTscHzTest, ZeroOfAnyKindIsNone) {
  for (const auto field : {&TscLeaves::denominator, &TscLeaves::numerator,
                           &TscLeaves::crystal_hz}) {
    TscLeaves leaves = kLeaves;
    leaves.*field = 0;
    EXPECT_EQ(CrystalTscHz(leaves), 0u);
  }
  EXPECT_EQ(CrystalTscHz({}), 0u);
}

TEST(CrystalTscHzTest, LeavesBeyondTheLastAreNotBelieved) {
  TscLeaves leaves = kLeaves;
  leaves.last_leaf = 0x15;
  EXPECT_EQ(CrystalTscHz(leaves), 2'500'000'000u);
  EXPECT_EQ(BaseTscHz(leaves), 0u);
  leaves.last_leaf = 0x14;
  EXPECT_EQ(CrystalTscHz(leaves), 0u);
}

TEST(CrystalTscHzTest, TheLargestWordsDoNotOverflow) {
  TscLeaves leaves = kLeaves;
  leaves.crystal_hz = kMostOfWord;
  leaves.numerator = kMostOfWord;
  leaves.denominator = kMostOfWord;
  EXPECT_EQ(CrystalTscHz(leaves), kMostOfWord);
  leaves.denominator = 1;
  EXPECT_EQ(CrystalTscHz(leaves), 0u);
}

TEST(CrystalTscHzTest, WhatNoTscDoesIsNone) {
  TscLeaves leaves = kLeaves;
  leaves.numerator = 400;
  EXPECT_EQ(CrystalTscHz(leaves), 10'000'000'000u);
  leaves.numerator = 401;
  EXPECT_EQ(CrystalTscHz(leaves), 0u);
  leaves.numerator = 4;
  EXPECT_EQ(CrystalTscHz(leaves), 100'000'000u);
  leaves.numerator = 3;
  EXPECT_EQ(CrystalTscHz(leaves), 0u);
}

TEST(CrystalTscHzTest, ACrystalNotToldIsTheModels) {
  TscLeaves leaves = kLeaves;
  leaves.crystal_hz = 0;
  leaves.numerator = 216;
  leaves.denominator = 2;
  // Any stepping; 06_4EH, 06_5EH, 06_8EH, 06_9EH.
  for (const std::uint32_t signature :
       {0x000406e3u, 0x000506e3u, 0x000806ecu, 0x000906eau}) {
    leaves.signature = signature;
    EXPECT_EQ(CrystalTscHz(leaves), 2'592'000'000u) << signature;
  }
  leaves.signature = 0x000506c9;  // 06_5CH
  EXPECT_EQ(CrystalTscHz(leaves), 2'073'600'000u);
  // 06_55H, which may have two; another family; one not known.
  for (const std::uint32_t signature :
       {0x00050654u, 0x004506e3u, 0x000306c3u}) {
    leaves.signature = signature;
    EXPECT_EQ(CrystalTscHz(leaves), 0u) << signature;
  }
  leaves.signature = 0x000406e3;
  leaves.crystal_hz = 25'000'000;  // what it says goes before
  EXPECT_EQ(CrystalTscHz(leaves), 2'700'000'000u);
}

TEST(BaseTscHzTest, TheLowWordInMegahertz) {
  TscLeaves leaves = kLeaves;
  leaves.base_mhz = 0xabcd0000 | 2600;
  EXPECT_EQ(BaseTscHz(leaves), 2'600'000'000u);
  for (const std::uint32_t mhz : {0u, 99u, 10'001u, 0xffffu, 0xabcd0000u}) {
    leaves.base_mhz = mhz;
    EXPECT_EQ(BaseTscHz(leaves), 0u) << mhz;
  }
}

// Of a TSC of `hz`, when OUT was last seen low `before` microseconds before it
// went high, and first seen high `after` microseconds behind that.
PitTscHz Counted(std::uint64_t hz, std::uint64_t before, std::uint64_t after) {
  const std::uint64_t ticks = hz / 20;
  return TscHzByPit(kCount, ticks - hz * before / 1'000'000,
                    ticks + hz * after / 1'000'000);
}

void ExpectWithinItsError(const PitTscHz& found, std::uint64_t hz) {
  EXPECT_GT(found.error_ppm, 0u);
  EXPECT_NEAR(static_cast<double>(found.hz), static_cast<double>(hz),
              static_cast<double>(hz * found.error_ppm) / 1e6);
}

TEST(TscHzByPitTest, TheFrequencyIsWithinItsError) {
  for (const std::uint64_t hz :
       {800'000'000ul, 2'500'000'000ul, 4'999'999'999ul}) {
    ExpectWithinItsError(Counted(hz, 2, 2), hz);
    ExpectWithinItsError(Counted(hz, 0, 40), hz);
    ExpectWithinItsError(Counted(hz, 40, 0), hz);
    EXPECT_LE(Counted(hz, 2, 2).error_ppm, 60u);
  }
}

TEST(TscHzByPitTest, TheClocksBeforeTheCountAreInTheError) {
  constexpr std::uint64_t kHz = 2'500'000'000;
  const std::uint64_t least = kHz * 11 * kCount / 13'125'000;
  const std::uint64_t most = kHz * 11 * (kCount + 2) / 13'125'000;
  for (const std::uint64_t ticks : {least, most}) {
    const PitTscHz found = TscHzByPit(kCount, ticks, ticks);
    ExpectWithinItsError(found, kHz);
    EXPECT_LE(found.error_ppm, 18u);
  }
}

TEST(TscHzByPitTest, ARangeTooWideIsNone) {
  EXPECT_NE(Counted(2'500'000'000, 20, 20).hz, 0u);
  EXPECT_EQ(Counted(2'500'000'000, 30, 30).hz, 0u);
  EXPECT_EQ(TscHzByPit(kCount, 0, 1u << 29).hz, 0u);
}

TEST(TscHzByPitTest, TriesThatContradictEachOtherAreNone) {
  EXPECT_EQ(TscHzByPit(kCount, 125'000'001, 125'000'000).hz, 0u);
  EXPECT_EQ(TscHzByPit(kCount, 125'000'000, 120'000'000).hz, 0u);
}

TEST(TscHzByPitTest, WhatNoTscDoesIsNone) {
  EXPECT_EQ(Counted(99'000'000, 1, 1).hz, 0u);
  EXPECT_NE(Counted(101'000'000, 1, 1).hz, 0u);
  EXPECT_NE(Counted(9'900'000'000, 1, 1).hz, 0u);
  EXPECT_EQ(Counted(10'100'000'000, 1, 1).hz, 0u);
}

TEST(TscHzByPitTest, AbsurdCountsAreNone) {
  struct {
    std::uint32_t count;
    std::uint64_t least, most;
  } const kTries[] = {{0, 125'000'000, 125'000'000},
                      {1, 125'000'000, 125'000'000},
                      {kMostOfWord, 125'000'000, 125'000'000},
                      {kCount, 0, 0},
                      {kCount, 125'000'000, kMost},
                      {kCount, kMost, 125'000'000},
                      {kCount, kMost, kMost}};
  for (const auto& of : kTries) {
    const PitTscHz found = TscHzByPit(of.count, of.least, of.most);
    EXPECT_EQ(found.hz, 0u) << of.count << " " << of.least << " " << of.most;
    EXPECT_EQ(found.error_ppm, 0u);
  }
}

void ExpectChosen(const TscFrequency& chosen, std::uint64_t hz,
                  const char* source) {
  EXPECT_EQ(chosen.hz, hz);
  EXPECT_STREQ(chosen.source, source);
}

TEST(ChooseTscFrequencyTest, Leaf15hUnlessTheMeasurementContradictsIt) {
  for (const std::uint64_t measured :
       {0ul, 2'497'500'000ul, 2'500'000'000ul, 2'502'500'000ul}) {
    ExpectChosen(ChooseTscFrequency(2'500'000'000, measured, 3'000'000'000),
                 2'500'000'000, "CPUID 15h");
  }
  for (const std::uint64_t measured : {2'497'499'999ul, 2'502'500'001ul}) {
    ExpectChosen(ChooseTscFrequency(2'500'000'000, measured, 2'500'000'000),
                 measured, "measured by the PIT");
  }
}

TEST(ChooseTscFrequencyTest, TheMeasurementGoesBeforeLeaf16h) {
  ExpectChosen(ChooseTscFrequency(0, 2'496'000'000, 2'500'000'000),
               2'496'000'000, "measured by the PIT");
  ExpectChosen(ChooseTscFrequency(0, 0, 2'500'000'000), 2'500'000'000,
               "CPUID 16h");
  ExpectChosen(ChooseTscFrequency(0, 0, 0), 0, "not known");
}

}  // namespace
}  // namespace worldswitch::native
