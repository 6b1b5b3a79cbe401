// The image's knob tables, as the host lists and checks them.

#include "lab/native_knobs.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr NativeKnob kKnobs[] = {
    {.name = "vpid",
     .choices = {"off", "on"},
     .default_value = 1,
     .meaning = "TLB entries are tagged",
     .applied_by = "secondary control 5"},
    {.name = "ple_window",
     .minimum = 0,
     .maximum = 4096,
     .default_value = 128,
     .unit = "ticks",
     .meaning = "how long a PAUSE loop may be",
     .applied_by = "PLE_Window"},
};
constexpr NativeKnobTable kTable = {.knobs = kKnobs, .size = 2};

TEST(NativeKnobsTest, ATableBecomesKnobsOfTheHost) {
  const KnobSet knobs = KnobSetOf(kTable);
  ASSERT_EQ(knobs.all().size(), 2u);
  const Knob& vpid = knobs.all()[0];
  EXPECT_EQ(vpid.type, KnobType::kChoice);
  EXPECT_THAT(vpid.choices, ElementsAre("off", "on"));
  EXPECT_EQ(vpid.default_value, "on");
  EXPECT_EQ(vpid.applied_by, "secondary control 5");
  const Knob& window = knobs.all()[1];
  EXPECT_EQ(window.type, KnobType::kInteger);
  EXPECT_EQ(KnobRange(window), "0 to 4096");
  EXPECT_EQ(window.default_value, "128");
  EXPECT_EQ(window.unit, "ticks");
}

// What the host accepts the image accepts as well, and the other way round.
TEST(NativeKnobsTest, TheHostChecksAsTheImageDoes) {
  const KnobSet knobs = KnobSetOf(kTable);
  const struct {
    const char* name;
    const char* value;
    bool right;
  } kSettings[] = {{"vpid", "on", true},         {"vpid", "off", true},
                   {"vpid", "1", false},         {"vpid", "", false},
                   {"ple_window", "0", true},    {"ple_window", "4096", true},
                   {"ple_window", "0x40", true}, {"ple_window", "4097", false},
                   {"ple_window", "-1", false},  {"ple_window", "x", false},
                   {"ple_windows", "1", false}};
  for (const auto& [name, value, right] : kSettings) {
    EXPECT_EQ(knobs.Check({{name, value}}).ok(), right) << name << "=" << value;
    NativeKnobValues values(kTable);
    const std::string text = std::string(name) + "=" + value;
    EXPECT_EQ(values.Set(text.data(), text.size()) == KnobParse::kOk, right)
        << text;
  }
  EXPECT_THAT(std::string(knobs.Check({{"vpdi", "on"}}).message()),
              HasSubstr("vpid"));
}

TEST(NativeKnobsTest, EveryKnobOfTheVendorsIsWhole) {
  for (const LabEngine engine :
       {LabEngine::kSvmNative, LabEngine::kVmxNative}) {
    const KnobSet knobs = NativeKnobs(engine);
    std::set<std::string> names;
    for (const Knob& knob : knobs.all()) {
      EXPECT_TRUE(names.insert(knob.name).second) << knob.name;
      EXPECT_NE(knob.meaning, "") << knob.name;
      EXPECT_NE(knob.applied_by, "") << knob.name;
      EXPECT_TRUE(
          NativeKnobs(engine).Check({{knob.name, knob.default_value}}).ok())
          << knob.name << "=" << knob.default_value;
    }
  }
}

}  // namespace
}  // namespace worldswitch
