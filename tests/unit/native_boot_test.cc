// A boot of the image, whichever way it ends, with shell scripts in the
// emulator's place; and what an emulator is given.

#include "lab/native_boot.h"

#include <signal.h>

#include <cerrno>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lab/temporary_directory.h"
#include "native/rom_layout.h"

namespace worldswitch {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class NativeBootTest : public ::testing::Test {
 protected:
  NativeBootTest() : folder_(*TemporaryDirectory::Make()) {
    boot_.serial = folder_.File("serial");
    boot_.command.output = folder_.File("emulator");
    boot_.command.directory = folder_.path();
  }

  // The emulator is this script, which knows its own id.
  absl::Status Run(const std::string& script, int seconds = 20) {
    boot_.command.arguments = {"sh", "-c", "echo $$ > pid; " + script};
    return RunNativeBoot(
        boot_, std::chrono::seconds(seconds), stop_,
        [this](const std::string& text) { heard_ += text; }, &log_);
  }

  bool IsGone() const {
    const pid_t pid = std::stoi(*ReadWholeFile(folder_.File("pid")));
    return kill(pid, 0) != 0 && errno == ESRCH;
  }

  TemporaryDirectory folder_;
  NativeBoot boot_;
  StopFlag stop_ = 0;
  std::string heard_;
  std::string log_;
};

TEST_F(NativeBootTest, TheLogIsWholeWithItsLastLine) {
  const absl::Status ran =
      Run("printf '@worldswitch 1\\r\\n' > serial; sleep 0.1;"
          "printf '@done 0\\r\\n' >> serial; exit 1");
  EXPECT_TRUE(ran.ok()) << ran;
  EXPECT_EQ(log_, "@worldswitch 1\r\n@done 0\r\n");
  EXPECT_EQ(heard_, log_);
}

TEST_F(NativeBootTest, AnEmulatorThatStaysIsEnded) {
  const absl::Status ran =
      Run("printf '\\n@done 0\\n' > serial; exec sleep 100");
  EXPECT_TRUE(ran.ok()) << ran;
  EXPECT_TRUE(IsGone());
}

TEST_F(NativeBootTest, AnEmulatorThatEndsEarlySaysWhy) {
  const absl::Status ran =
      Run("printf '@row user/hlt real\\n@don' > serial;"
          "echo unknown CPU model >&2; exit 7");
  EXPECT_TRUE(absl::IsUnavailable(ran)) << ran;
  EXPECT_THAT(ran.message(), HasSubstr("exit code 7"));
  EXPECT_THAT(ran.message(), HasSubstr("  unknown CPU model"));
  EXPECT_THAT(ran.message(), HasSubstr("  @row user/hlt real"));
}

TEST_F(NativeBootTest, AnImageThatHangsIsEnded) {
  const absl::Status ran = Run("echo last words > serial; exec sleep 100", 1);
  EXPECT_TRUE(absl::IsDeadlineExceeded(ran)) << ran;
  EXPECT_THAT(ran.message(), HasSubstr("--timeout"));
  EXPECT_THAT(ran.message(), HasSubstr("  last words"));
  EXPECT_TRUE(IsGone());
  EXPECT_EQ(log_, "last words\n");
}

TEST_F(NativeBootTest, TheUsersStopEndsIt) {
  stop_ = SIGINT;
  const absl::Status ran = Run("exec sleep 100");
  EXPECT_TRUE(absl::IsCancelled(ran)) << ran;
}

TEST_F(NativeBootTest, QemuGetsTheImageAndTheCommandLine) {
  const absl::StatusOr<NativeBoot> boot =
      PrepareNativeBoot({.emulator = LabEmulator::kQemu,
                         .cpu_model = "max",
                         .command_line = "bench --mode real",
                         .directory = folder_.path()});
  ASSERT_TRUE(boot.ok()) << boot.status();
  EXPECT_THAT(boot->command.arguments, Contains("bench --mode real"));
  EXPECT_THAT(boot->command.arguments, Contains("shift=0,sleep=off"));
  const std::string image = *ReadWholeFile(folder_.File("image"));
  EXPECT_EQ(image.substr(0, 5),
            "\x7f"
            "ELF\x01");  // of 32 bits
}

TEST_F(NativeBootTest, BochsGetsTheCommandLineInItsRom) {
  const absl::StatusOr<NativeBoot> boot =
      PrepareNativeBoot({.emulator = LabEmulator::kBochs,
                         .cpu_model = "ryzen",
                         .command_line = "report",
                         .directory = folder_.path()});
  ASSERT_TRUE(boot.ok()) << boot.status();
  const std::string rom = *ReadWholeFile(folder_.File("rom"));
  ASSERT_EQ(rom.size(), std::size_t{WS_ROM_BYTES});
  EXPECT_STREQ(&rom[WS_ROM_COMMAND_LINE], "report");
  EXPECT_THAT(*ReadWholeFile(folder_.File("bochsrc")),
              HasSubstr("model=ryzen"));
}

TEST(NativeCommandLineTest, WordsFitOrAreRefused) {
  EXPECT_EQ(*NativeCommandLine({"bench", "--scenario", "user/*"}),
            "bench --scenario user/*");
  for (const std::string& bad : {std::string(), std::string("two words"),
                                 std::string("\x80"), std::string(4096, 'x')}) {
    const absl::StatusOr<std::string> line = NativeCommandLine({"bench", bad});
    EXPECT_TRUE(absl::IsInvalidArgument(line.status())) << bad;
  }
}

TEST(WithLabFactsTest, TheyStandBehindTheFirstLine) {
  EXPECT_EQ(WithLabFacts("x\n@worldswitch 1\r\n@done 0\r\n",
                         {{"emulator", "QEMU 7.2.22"}, {"cpu_model", "max"}}),
            "x\n@worldswitch 1\r\n@info lab.emulator QEMU 7.2.22\n"
            "@info lab.cpu_model max\n@done 0\r\n");
  EXPECT_EQ(WithLabFacts("nothing\n", {{"emulator", "x"}}), "nothing\n");
}

}  // namespace
}  // namespace worldswitch
