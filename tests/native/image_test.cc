// The boot image as such: that it boots, says what is wrong with it, and says
// the same every time.

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "native/rom_layout.h"
#include "tests/native/image_boot.h"

namespace worldswitch {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr char kImage[] = NATIVE_IMAGE;

class ImageTest : public ::testing::TestWithParam<Machine> {
 protected:
  void SetUp() override {
    const std::string why = WhyNot(GetParam());
    if (!why.empty()) GTEST_SKIP() << why;
  }
};

TEST(ImageFileTest, FitsIntoItsPlace) {
  const auto bytes = std::filesystem::file_size(std::string(kImage) + ".bin");
  EXPECT_GT(bytes, 10'000u);
  EXPECT_LE(bytes, 256u * 1024);
  EXPECT_EQ(std::filesystem::file_size(std::string(kImage) + ".rom"),
            std::uintmax_t{WS_ROM_BYTES});
}

TEST_P(ImageTest, ReportsAnExceptionOfItsOwn) {
  const std::string log = BootImage(GetParam(), {"exception"});
  EXPECT_THAT(log, ContainsRegex("exception 6 #UD in the image, error code 0x0,"
                                 " at rip 0x1[0-9a-f]+\r\n"));
  EXPECT_THAT(log, HasSubstr("  during: exception 0\r\n"));
  EXPECT_THAT(log, ContainsRegex("  cr0    0x80010033  cr3    0x[0-9a-f]+000"));
  EXPECT_THAT(log, ContainsRegex("  r13    0x[0-9a-f]+  r14    0x[0-9a-f]+"));
  EXPECT_THAT(log, ContainsRegex("@done 1\r\n$"));
}

TEST_P(ImageTest, RefusesWhatItDoesNotKnow) {
  const std::string log = BootImage(GetParam(), {"bench", "--frobnicate", "1"});
  EXPECT_THAT(log, HasSubstr("usage: '--frobnicate': no such option\r\n"));
  EXPECT_THAT(log, ContainsRegex("@done 2\r\n$"));
}

TEST_P(ImageTest, SaysTheSameThreeTimes) {
  const auto boot = [] {
    return BootImage(GetParam(), {"bench", "--scenario", "user/*"});
  };
  const std::string first = boot();
  EXPECT_THAT(first, ContainsRegex("@done 0\r\n$"));
  EXPECT_EQ(boot(), first);
  EXPECT_EQ(boot(), first);
}

INSTANTIATE_TEST_SUITE_P(All, ImageTest,
                         ::testing::Values(kSvmQemu, kSvmBochs, kVmxBochs),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace worldswitch
