// On a host without KVM the tests that need it skip, with the reason, and do
// not fail: each such program is run where /dev/kvm is something else.

#include <stdlib.h>

#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/system/child_program.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class WithoutKvmTest : public testing::TestWithParam<std::string> {};

TEST_P(WithoutKvmTest, ItsTestsSkipWithTheReason) {
  std::string folder = testing::TempDir() + "without_kvm_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const ChildProgram program(
      std::string(WORLDSWITCH_TEST_PROGRAMS) + "/" + GetParam(), folder);
  const Outcome outcome = program.Run({}, HideDevKvm);
  std::filesystem::remove_all(folder);
  if (outcome.code == kCannotHide) GTEST_SKIP() << outcome.err;
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Skipped\n"));
  EXPECT_THAT(outcome.out, HasSubstr("/dev/kvm"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("[  FAILED  ]")));
}

std::vector<std::string> Programs() {
  std::vector<std::string> programs;
  std::stringstream words(WORLDSWITCH_KVM_TESTS);
  for (std::string word; words >> word;) programs.push_back(word);
  return programs;
}

INSTANTIATE_TEST_SUITE_P(Programs, WithoutKvmTest,
                         testing::ValuesIn(Programs()),
                         [](const testing::TestParamInfo<std::string>& info) {
                           return info.param;
                         });

}  // namespace
}  // namespace worldswitch
