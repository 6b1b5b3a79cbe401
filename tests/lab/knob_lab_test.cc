// Knobs on real kvm_amd and real kvm_intel: the programs that test them, run in
// labs. Where the emulator or the kernel cannot be had, these skip.

#include <stdlib.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

constexpr int kNoLabHere = 3;

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class KnobLabTest : public ::testing::Test {
 protected:
  KnobLabTest() {
    std::string pattern = ::testing::TempDir() + "knob_lab_XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~KnobLabTest() override { fs::remove_all(folder_); }

  // `worldswitch lab` with these words, in the test's own folder.
  Outcome Lab(const std::string& words) const {
    const std::string err = folder_ + "/err";
    const std::string line = "cd '" + folder_ +
                             "' && '" WORLDSWITCH_COMMAND "' lab " + words +
                             " 2>'" + err + "'";
    Outcome outcome;
    FILE* const pipe = popen(line.c_str(), "r");
    if (pipe == nullptr) return outcome;
    char buffer[4096];
    std::size_t got = 0;
    while ((got = fread(buffer, 1, sizeof(buffer), pipe)) != 0) {
      outcome.out.append(buffer, got);
    }
    const int status = pclose(pipe);
    outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    std::ifstream file(err);
    outcome.err.assign(std::istreambuf_iterator<char>(file), {});
    std::printf("%s", outcome.out.c_str());
    return outcome;
  }

  std::string folder_;
};

#define SKIP_WITHOUT_LAB(outcome) \
  if ((outcome).code == kNoLabHere) GTEST_SKIP() << (outcome).err

constexpr char kCounts[] = " -- '" KNOB_COUNTS_PROGRAM "' --gtest_brief=1";
constexpr char kSetAndSeen[] =
    " -- '" PROCESSOR_KNOBS_PROGRAM "' --gtest_brief=1";

// On kvm_amd no emulator has a pause filter, which the program says by a skip
// of its own.
TEST_F(KnobLabTest, KnobsMoveTheirCountsOnKvmAmd) {
  const Outcome nested = Lab(std::string("kvm_amd") + kCounts);
  SKIP_WITHOUT_LAB(nested);
  EXPECT_EQ(nested.code, 0) << nested.out << nested.err;
  EXPECT_THAT(nested.out, HasSubstr("kvm_amd.npt on: "));
  EXPECT_THAT(nested.out, HasSubstr("pause_filter_thresh is 0"));
  EXPECT_THAT(nested.out, HasSubstr("[  SKIPPED ] 1 test."));
  const Outcome shadow =
      Lab(std::string("kvm_amd --module-param kvm_amd.npt=0") + kCounts);
  EXPECT_EQ(shadow.code, 0) << shadow.out << shadow.err;
  EXPECT_THAT(shadow.out, HasSubstr("kvm_amd.npt off: "));
}

// PAUSE exits in a window of 64 ticks that does not grow, and then none at all.
TEST_F(KnobLabTest, KnobsMoveTheirCountsOnKvmIntel) {
  const Outcome nested =
      Lab(std::string("kvm_intel --module-param kvm_intel.ple_window=64 "
                      "--module-param kvm_intel.ple_window_grow=0") +
          kCounts);
  SKIP_WITHOUT_LAB(nested);
  EXPECT_EQ(nested.code, 0) << nested.out << nested.err;
  EXPECT_THAT(nested.out, HasSubstr("kvm_intel.ept on: "));
  EXPECT_THAT(nested.out, HasSubstr("PAUSE exits on: "));
  EXPECT_THAT(nested.out, Not(HasSubstr("Skipped")));
  const Outcome shadow =
      Lab(std::string("kvm_intel --module-param kvm_intel.ept=0 "
                      "--module-param kvm_intel.ple_gap=0") +
          kCounts);
  EXPECT_EQ(shadow.code, 0) << shadow.out << shadow.err;
  EXPECT_THAT(shadow.out, HasSubstr("kvm_intel.ept off: "));
  EXPECT_THAT(shadow.out, HasSubstr("kvm_intel.ple_gap=0: "));
  EXPECT_THAT(shadow.out, Not(HasSubstr("Skipped")));
}

TEST_F(KnobLabTest, TheGuestsProcessorIsAsItsKnobsSayOnKvmAmd) {
  const Outcome outcome = Lab(std::string("kvm_amd") + kSetAndSeen);
  SKIP_WITHOUT_LAB(outcome);
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
}

// A processor with TSC scaling: here the guest's TSC has to obey, both ways.
TEST_F(KnobLabTest, TheTscGoesAtTheRateThatIsSetOnKvmIntel) {
  const Outcome outcome =
      Lab(std::string("kvm_intel --cpu corei7_skylake_x --timeout 240") +
          kSetAndSeen + " --gtest_filter='*TscRate*'");
  SKIP_WITHOUT_LAB(outcome);
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out,
              ContainsRegex("tsc_khz=[0-9]+: OK\ntsc_khz=[0-9]+: OK\n"));
}

TEST_F(KnobLabTest, AHostWideKnobIsPutBackOnEveryWayOut) {
  // Of its 50 MB the lab needs a tenth.
  ASSERT_EQ(std::system(("strip --strip-debug -o '" + folder_ +
                         "/worldswitch' '" WORLDSWITCH_COMMAND "'")
                            .c_str()),
            0);
  const Outcome outcome = Lab("kvm_amd -- '" HOST_KNOB_PROGRAM
                              "' ./worldswitch kvm.halt_poll_ns 12345");
  SKIP_WITHOUT_LAB(outcome);
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("exit: 200000 12345 200000, code 0\n"));
  EXPECT_THAT(outcome.out,
              HasSubstr("SIGINT: 200000 12345 200000, code 130\n"));
  EXPECT_THAT(outcome.out,
              HasSubstr("SIGTERM: 200000 12345 200000, code 143\n"));
  EXPECT_THAT(outcome.out,
              HasSubstr("SIGKILL: 200000 12345 200000, signal 9\n"));
}

}  // namespace
}  // namespace worldswitch
