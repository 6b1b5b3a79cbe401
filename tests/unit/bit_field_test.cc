#include "core/bit_field.h"

#include <cstdint>

#include "core/host/bit_field_text.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

constexpr const char* kKinds[] = {"none", nullptr, "some"};
constexpr BitField kFlag = FlagField("flag", 4);
constexpr BitField kKind = ChoiceField("kind", 8, 2, kKinds);
constexpr BitField kCount = NumberField("count", 16, 8).When(kFlag, 2);
constexpr BitField kAddress = HexField("address", 32, 32);
constexpr BitField kFields[] = {kFlag, kKind, kCount, kAddress};

static_assert(kCount.Of(0xAB0000) == 0xAB);
static_assert(kCount.Mask() == 0xFF0000);
static_assert(kAddress.Mask() == 0xFFFFFFFF00000000);
static_assert(HexField("all", 0, 64).Of(~0ull) == ~0ull);
static_assert(HexField("all", 0, 64).Mask() == ~0ull);

TEST(BitFieldTest, FieldsAppearOnlyWhereTheyApply) {
  EXPECT_EQ(DescribeBitFields(kFields, 0x10 | 7 << 16),
            "flag, kind none, count 7, address 0");
  EXPECT_EQ(DescribeBitFields(kFields, std::uint64_t{0x1234} << 32 | 2 << 8),
            "kind some, address 0x1234");
}

TEST(BitFieldTest, WhatNothingDefinesIsNamed) {
  EXPECT_EQ(DescribeBitFields(kFields, 0x1),
            "kind none, address 0, undefined bits 0x1");
  EXPECT_EQ(UndefinedBits(kFields, 7 << 16), 7u << 16)
      << "a field that does not apply accounts for nothing";
  EXPECT_EQ(DescribeBitFields(kFields, 0x100),
            "kind reserved value 1, address 0");
  EXPECT_EQ(DescribeBitFields(kFields, 0x300),
            "kind reserved value 3, address 0");
  EXPECT_EQ(DescribeBitFields({}, 0), "");
  EXPECT_EQ(DescribeBitFields({}, 2), "undefined bits 0x2");
}

TEST(BitFieldTest, FactsHaveClearFlagsToo) {
  const std::vector<Fact> facts = BitFieldFacts(kFields, 1);
  ASSERT_EQ(facts.size(), 4u);
  EXPECT_EQ(facts[0].name, "flag");
  EXPECT_EQ(facts[0].value, "no");
  EXPECT_EQ(facts[2].name, "address");
  EXPECT_EQ(facts[3].name, "undefined bits");
  EXPECT_EQ(facts[3].value, "0x1");
}

TEST(BitFieldTest, AConditionBeyondItsMaskNeverHolds) {
  constexpr BitField kWide = NumberField("wide", 0, 8);
  constexpr BitField kThen = FlagField("then", 8).When(kWide, ~0u);
  EXPECT_TRUE(kThen.AppliesTo(31));
  EXPECT_FALSE(kThen.AppliesTo(32));
}

}  // namespace
}  // namespace worldswitch
