// What the image does in ring 0, on every emulated CPU that has VT-x or SVM:
// the contract's clauses, refused entries, guests that do anything, and how
// many instructions the way from an exit to the next entry takes.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/native/image_boot.h"

namespace worldswitch {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// In instructions, the one that exits among them: what is reached today.
struct PathLimits {
  const char* machine;
  int most_final;
  int most_virtual;
};
constexpr PathLimits kPathLimits[] = {
    {"SvmQemu", 84, 123}, {"SvmBochs", 88, 127}, {"VmxBochs", 91, 129}};

class Ring0Test : public ::testing::TestWithParam<Machine> {
 protected:
  void SetUp() override {
    const std::string why = WhyNot(GetParam());
    if (!why.empty()) GTEST_SKIP() << why;
  }
};

std::vector<std::string> Of(const std::vector<NativeCheck>& all,
                            NativeCheck::Verdict verdict) {
  std::vector<std::string> names;
  for (const NativeCheck& check : all) {
    if (check.verdict == verdict) {
      names.push_back(absl::StrCat(check.name, ": ", check.text));
    }
  }
  return names;
}

TEST_P(Ring0Test, HoldsTheContract) {
  const NativeLog log = ParsedLog(BootImage(GetParam(), {"conformance"}));
  EXPECT_GE(Of(log.clauses, NativeCheck::Verdict::kPassed).size(), 100u);
  EXPECT_THAT(Of(log.clauses, NativeCheck::Verdict::kFailed), IsEmpty());
  EXPECT_EQ(log.done, 0);
}

TEST_P(Ring0Test, NamesWhatRefusesAnEntry) {
  const NativeLog log = ParsedLog(BootImage(GetParam(), {"failures"}));
  EXPECT_GE(Of(log.checks, NativeCheck::Verdict::kPassed).size(), 20u);
  EXPECT_THAT(Of(log.checks, NativeCheck::Verdict::kFailed), IsEmpty());
  for (const char* state : {"read_only", "not_present", "misconfigured"}) {
    EXPECT_THAT(Of(log.checks, NativeCheck::Verdict::kPassed),
                Contains(HasSubstr(absl::StrCat("page.2mib.", state))));
  }
  // QEMU has no instruction breakpoints.
  if (GetParam().name != std::string(kSvmQemu.name)) {
    EXPECT_THAT(Of(log.checks, NativeCheck::Verdict::kPassed),
                Contains(HasSubstr("guest.endless_debug_exceptions")));
  }
  for (const std::string& known :
       Of(log.checks, NativeCheck::Verdict::kDeviates)) {
    EXPECT_GT(known.size(), 40u) << "without a reason: " << known;
  }
  EXPECT_EQ(log.done, 0);
}

TEST_P(Ring0Test, TakesFewInstructionsFromExitToEntry) {
  const NativeLog log = ParsedLog(BootImage(GetParam(), {"path"}));
  const auto* limits = std::find_if(
      std::begin(kPathLimits), std::end(kPathLimits), [](const auto& each) {
        return GetParam().name == std::string(each.machine);
      });
  ASSERT_NE(limits, std::end(kPathLimits));
  for (const char* exit : {"cpuid", "hypercall"}) {
    const auto ticks = [&](const char* loop) {
      return std::atoi(log.InfoOf(absl::StrCat("path.", exit, loop)).c_str());
    };
    // No switch is shorter than its own registers.
    EXPECT_GT(ticks(".final"), 30) << exit;
    EXPECT_LE(ticks(".final"), limits->most_final) << exit;
    EXPECT_GT(ticks(".virtual"), ticks(".final")) << exit;
    EXPECT_LE(ticks(".virtual"), limits->most_virtual) << exit;
  }
}

// The reason before the dispatch; behind it RIP, the instruction's length and
// interruptibility.
TEST(VmxFieldAccessTest, AHandledExitReadsFourFieldsAndWritesRip) {
  const std::string why = WhyNot(kVmxBochs);
  if (!why.empty()) GTEST_SKIP() << why;
  const NativeLog log = ParsedLog(BootImage(
      kVmxBochs, {"bench", "--scenario", "native/cpuid", "--scenario",
                  "native/hypercall", "--mode", "ring0", "--samples", "50"}));
  ASSERT_EQ(log.rows.size(), 2u);
  for (const Row& row : log.rows) {
    EXPECT_EQ(row.verdict, Verdict::kProven) << row.Name() << ": " << row.why;
    const auto count = [&row](const char* name) {
      const auto found = row.per_iteration.find(name);
      return found == row.per_iteration.end() ? -1.0 : found->second;
    };
    EXPECT_DOUBLE_EQ(count("vmreads"), 4) << row.Name();
    EXPECT_DOUBLE_EQ(count("vmwrites"), 1) << row.Name();
  }
}

// Where the emulator outlives guests that do anything: Bochs 2.7 panics on some
// under SVM, and goes on as another machine.
class RandomGuestTest : public Ring0Test {};

TEST_P(RandomGuestTest, NoGuestTakesTheHostDown) {
  const std::string text =
      BootImage(GetParam(), {"random", "--runs", "10000", "--seed", "1"});
  const NativeLog log = ParsedLog(text);
  EXPECT_THAT(Of(log.checks, NativeCheck::Verdict::kFailed), IsEmpty());
  EXPECT_THAT(text, HasSubstr("@check random.guests passed 10000 guests, "));
  EXPECT_EQ(log.done, 0);
  // It was worth the while: guests got somewhere, and some nowhere.
  for (const char* reason : {"Io", "Mmio", "Shutdown", "EntryFailure", "Hlt",
                             "Wrmsr", "Interrupted", "IrqWindow"}) {
    EXPECT_NE(log.InfoOf(absl::StrCat("random.exits.", reason)), "") << reason;
  }
}

std::string MachineName(const ::testing::TestParamInfo<Machine>& test) {
  return test.param.name;
}
INSTANTIATE_TEST_SUITE_P(All, Ring0Test,
                         ::testing::Values(kSvmQemu, kSvmBochs, kVmxBochs),
                         MachineName);
INSTANTIATE_TEST_SUITE_P(All, RandomGuestTest,
                         ::testing::Values(kSvmQemu, kVmxBochs), MachineName);

}  // namespace
}  // namespace worldswitch
