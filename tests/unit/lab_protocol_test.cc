// What the lab's host and its /init say to each other.

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lab/guest_channel.h"
#include "lab/guest_plan.h"

namespace worldswitch {
namespace {

using ::testing::ElementsAre;

std::string Frame(GuestFrameType type, const std::string& payload) {
  return GuestFrameHeader(type, payload.size()) + payload;
}

TEST(GuestPlanTest, ComesBackAsItWas) {
  GuestPlan plan;
  plan.modules = {{"/lab/modules/kvm.ko", ""},
                  {"/lab/modules/kvm_amd.ko", "npt=0 nested=1"}};
  plan.directory = "/home/someone with blanks";
  plan.program = "/lab/bin/worldswitch";
  plan.arguments = {"worldswitch", "bench", "", "line\nbreak"};
  plan.environment = {"TZ=UTC"};
  plan.files = {"/tmp/out.json"};
  const std::optional<GuestPlan> back = ParseGuestPlan(GuestPlanText(plan));
  ASSERT_TRUE(back.has_value());
  ASSERT_EQ(back->modules.size(), 2u);
  EXPECT_EQ(back->modules[0].parameters, "");
  EXPECT_EQ(back->modules[1].path, "/lab/modules/kvm_amd.ko");
  EXPECT_EQ(back->modules[1].parameters, "npt=0 nested=1");
  EXPECT_EQ(back->directory, plan.directory);
  EXPECT_EQ(back->program, plan.program);
  EXPECT_EQ(back->arguments, plan.arguments);
  EXPECT_EQ(back->environment, plan.environment);
  EXPECT_EQ(back->files, plan.files);
}

TEST(GuestPlanTest, RefusesWhatIsNoPlan) {
  EXPECT_FALSE(ParseGuestPlan("").has_value());
  EXPECT_FALSE(ParseGuestPlan("program").has_value());
  const std::string unknown("color\0blue\0", 11);
  EXPECT_FALSE(ParseGuestPlan(unknown).has_value());
  GuestPlan plan;
  plan.program = "/p";
  std::string cut = GuestPlanText(plan);
  cut.pop_back();
  EXPECT_FALSE(ParseGuestPlan(cut).has_value());
}

TEST(GuestFrameReaderTest, PutsFramesTogetherFromSingleBytes) {
  const std::string zeros(3, '\0');
  const std::string stream = Frame(GuestFrameType::kHello, "") +
                             Frame(GuestFrameType::kOutput, "a" + zeros) +
                             Frame(GuestFrameType::kExited, "42");
  GuestFrameReader reader;
  std::vector<std::string> payloads;
  std::string types;
  for (const char byte : stream) {
    reader.Append(&byte, 1);
    GuestFrame frame;
    while (reader.Next(&frame)) {
      types.push_back(static_cast<char>(frame.type));
      payloads.push_back(frame.payload);
    }
  }
  EXPECT_EQ(types, "HOX");
  EXPECT_THAT(payloads, ElementsAre("", "a" + zeros, "42"));
  EXPECT_FALSE(reader.broken());
  EXPECT_EQ(reader.pending(), 0u);
}

TEST(GuestFrameReaderTest, SaysThatAFrameIsNotWholeYet) {
  const std::string frame = Frame(GuestFrameType::kFileData, "12345");
  GuestFrameReader reader;
  reader.Append(frame.data(), frame.size() - 1);
  GuestFrame next;
  EXPECT_FALSE(reader.Next(&next));
  EXPECT_EQ(reader.pending(), frame.size() - 1);
  EXPECT_FALSE(reader.broken());
}

class BrokenStreamTest : public ::testing::TestWithParam<std::string> {};

TEST_P(BrokenStreamTest, IsToldAndNothingFollows) {
  GuestFrameReader reader;
  reader.Append(GetParam().data(), GetParam().size());
  GuestFrame frame;
  EXPECT_FALSE(reader.Next(&frame));
  EXPECT_TRUE(reader.broken());
  const std::string good = Frame(GuestFrameType::kExited, "0");
  reader.Append(good.data(), good.size());
  EXPECT_FALSE(reader.Next(&frame));
}

INSTANTIATE_TEST_SUITE_P(Streams, BrokenStreamTest,
                         ::testing::Values("[    0.1] Linux version",
                                           std::string("WSZ\1\0\0\0\0more", 12),
                                           std::string("WS?\0\0\0\0\0", 8),
                                           std::string("WS\0\0\0\0\0\0", 8),
                                           // Longer than any frame.
                                           std::string("WSO\0\1\0\1\0", 8)));

}  // namespace
}  // namespace worldswitch
