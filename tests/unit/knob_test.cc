// Knobs: what is checked before anything is changed, and what the refusals say.

#include "core/host/knob.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

KnobSet SomeKnobs() {
  Knob registers;
  registers.name = "registers";
  registers.type = KnobType::kChoice;
  registers.choices = {"ioctl", "sync"};
  registers.default_value = "sync";
  Knob halt_poll;
  halt_poll.name = "halt_poll";
  halt_poll.type = KnobType::kInteger;
  halt_poll.maximum = 400;
  halt_poll.unit = "us";
  halt_poll.default_value = "200";
  Knob ple;
  ple.name = "ple";
  ple.default_value = "on";
  Knob ept;
  ept.name = "ept";
  ept.scope = KnobScope::kHost;
  ept.default_value = "on";
  ept.not_settable = "a read-only module parameter";
  Knob exits;
  exits.name = "exits";
  exits.type = KnobType::kFlags;
  exits.choices = {"hlt", "pause"};
  exits.default_value = "none";
  return KnobSet({registers, halt_poll, ple, ept, exits});
}

std::string Refusal(const KnobSettings& settings) {
  const absl::Status status = SomeKnobs().Check(settings);
  EXPECT_FALSE(status.ok());
  return std::string(status.message());
}

TEST(KnobSetTest, FindsByNameAndGivesNullForStrangers) {
  const KnobSet knobs = SomeKnobs();
  ASSERT_NE(knobs.Find("ple"), nullptr);
  EXPECT_EQ(knobs.Find("ple")->name, "ple");
  EXPECT_EQ(knobs.Find("pl"), nullptr);
}

TEST(KnobSetTest, AcceptsValuesInRangeBothEndsIncluded) {
  const KnobSet knobs = SomeKnobs();
  EXPECT_TRUE(knobs.Check({}).ok());
  EXPECT_TRUE(knobs.Check({{"halt_poll", "0"}, {"ple", "off"}}).ok());
  EXPECT_TRUE(knobs.Check({{"halt_poll", "400"}, {"registers", "ioctl"}}).ok());
}

TEST(KnobSetTest, RefusalOfAValueNamesTheRangeAndTheUnit) {
  EXPECT_THAT(Refusal({{"halt_poll", "401"}}), HasSubstr("0 to 400 us"));
  EXPECT_THAT(Refusal({{"halt_poll", "-1"}}), HasSubstr("0 to 400 us"));
  EXPECT_THAT(Refusal({{"halt_poll", "12x"}}), HasSubstr("\"12x\""));
  EXPECT_THAT(Refusal({{"halt_poll", ""}}), HasSubstr("0 to 400 us"));
  EXPECT_THAT(Refusal({{"registers", "fast"}}), HasSubstr("ioctl, sync"));
  EXPECT_THAT(Refusal({{"ple", "maybe"}}), HasSubstr("on, off"));
}

TEST(KnobSetTest, FlagsAreAnyOfTheChoicesInAnyOrder) {
  const KnobSet knobs = SomeKnobs();
  for (const char* good : {"none", "hlt", "pause", "hlt+pause", "pause+hlt"}) {
    EXPECT_TRUE(knobs.Check({{"exits", good}}).ok()) << good;
  }
  for (const char* bad : {"", "+", "hlt+", "hlt,pause", "mwait", "none+hlt"}) {
    EXPECT_THAT(Refusal({{"exits", bad}}),
                HasSubstr("none, or joined by +: hlt, pause"))
        << bad;
  }
  EXPECT_TRUE(ParseKnobFlags("none").empty());
  EXPECT_THAT(ParseKnobFlags("a+b"), testing::ElementsAre("a", "b"));
}

TEST(KnobSetTest, NumbersAreDecimalOrHexadecimalBehind0x) {
  const KnobSet knobs = SomeKnobs();
  EXPECT_TRUE(knobs.Check({{"halt_poll", "0x190"}}).ok());
  EXPECT_THAT(Refusal({{"halt_poll", "0x191"}}), HasSubstr("0 to 400 us"));
  EXPECT_EQ(ParseKnobInteger("-1").value_or(0), -1);
  EXPECT_EQ(ParseKnobInteger("0X3b").value_or(0), 0x3b);
  for (const char* bad : {"", "3b", "0x", "0x8000000000000000", "-0x1"}) {
    EXPECT_FALSE(ParseKnobInteger(bad).ok()) << bad;
  }
}

// What is written to a file is compared with what the file then says.
TEST(KnobSetTest, HostSettingsAreDecimalOnly) {
  Knob poll;
  poll.name = "kvm.halt_poll_ns";
  poll.scope = KnobScope::kHost;
  poll.type = KnobType::kInteger;
  poll.maximum = 400;
  const KnobSet knobs({poll});
  EXPECT_TRUE(knobs.Check({{"kvm.halt_poll_ns", "16"}}).ok());
  EXPECT_FALSE(knobs.Check({{"kvm.halt_poll_ns", "0x10"}}).ok());
}

TEST(KnobSetTest, RefusalOfAnUnknownKnobSuggestsTheNearestAndListsAll) {
  const std::string refusal = Refusal({{"halt_pol", "1"}});
  EXPECT_THAT(refusal, HasSubstr("did you mean \"halt_poll\"?"));
  EXPECT_THAT(refusal, HasSubstr("registers, halt_poll, ple, ept, exits"));
  EXPECT_THAT(Refusal({{"zzzzzz", "1"}}), Not(HasSubstr("did you mean")));
}

TEST(KnobSetTest, AKnobThatCannotBeSetHereSaysWhy) {
  const absl::Status status = SomeKnobs().Check({{"ept", "off"}});
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("a read-only module parameter"));
}

TEST(KnobSetTest, AnEmptySetSaysThatThereAreNone) {
  EXPECT_THAT(std::string(KnobSet().Check({{"x", "1"}}).message()),
              HasSubstr("there are none"));
}

TEST(KnobSetTest, ValueOfPrefersTheSettingToTheDefault) {
  const KnobSet knobs = SomeKnobs();
  EXPECT_EQ(knobs.ValueOf("registers", {}), "sync");
  EXPECT_EQ(knobs.ValueOf("registers", {{"registers", "ioctl"}}), "ioctl");
}

TEST(ParseKnobSettingTest, SplitsAtTheFirstEqualsSign) {
  KnobSettings settings;
  ASSERT_TRUE(ParseKnobSetting("path=a=b", &settings).ok());
  ASSERT_TRUE(ParseKnobSetting(" spaced = out ", &settings).ok());
  ASSERT_TRUE(ParseKnobSetting("empty=", &settings).ok());
  EXPECT_EQ(settings,
            (KnobSettings{{"path", "a=b"}, {"spaced", "out"}, {"empty", ""}}));
}

TEST(ParseKnobSettingTest, RefusesWhatIsNoSettingAndLeavesTheOthersAlone) {
  KnobSettings settings = {{"ple", "on"}};
  EXPECT_THAT(std::string(ParseKnobSetting("ple", &settings).message()),
              HasSubstr("has no \"=\""));
  EXPECT_THAT(std::string(ParseKnobSetting("=1", &settings).message()),
              HasSubstr("nothing before"));
  EXPECT_THAT(std::string(ParseKnobSetting("ple=off", &settings).message()),
              HasSubstr("given twice: \"on\" and \"off\""));
  EXPECT_EQ(settings, (KnobSettings{{"ple", "on"}}));
}

TEST(ParseKnobBoolTest, TakesTheUsualWords) {
  for (const char* yes : {"on", "true", "yes", "1", "ON", "True"}) {
    const absl::StatusOr<bool> parsed = ParseKnobBool(yes);
    EXPECT_TRUE(parsed.ok() && *parsed) << yes;
  }
  for (const char* no : {"off", "false", "no", "0"}) {
    const absl::StatusOr<bool> parsed = ParseKnobBool(no);
    EXPECT_TRUE(parsed.ok() && !*parsed) << no;
  }
  EXPECT_FALSE(ParseKnobBool("2").ok());
  EXPECT_FALSE(ParseKnobBool("").ok());
}

TEST(KnobTest, NamesOfScopesTypesAndRanges) {
  EXPECT_STREQ(KnobScopeName(KnobScope::kHost), "host");
  EXPECT_STREQ(KnobScopeName(KnobScope::kVm), "vm");
  EXPECT_STREQ(KnobScopeName(KnobScope::kVcpu), "vcpu");
  EXPECT_STREQ(KnobTypeName(KnobType::kBool), "bool");
  EXPECT_STREQ(KnobTypeName(KnobType::kInteger), "integer");
  EXPECT_STREQ(KnobTypeName(KnobType::kChoice), "choice");
  EXPECT_STREQ(KnobTypeName(KnobType::kFlags), "flags");
  const KnobSet knobs = SomeKnobs();
  EXPECT_EQ(KnobRange(*knobs.Find("registers")), "ioctl, sync");
  EXPECT_EQ(KnobRange(*knobs.Find("halt_poll")), "0 to 400");
  EXPECT_EQ(KnobRange(*knobs.Find("ple")), "on, off");
}

}  // namespace
}  // namespace worldswitch
