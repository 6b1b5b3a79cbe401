#include "lab/kernel_difference.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Result(const std::string& kernel, const std::string& rows) {
  return R"({"context": {"unit": "instructions", "fingerprint": {"lab.kernel": ")" +
         kernel + R"("}}, "worldswitch": {"rows": [)" + rows + "]}}";
}

constexpr char kBefore[] =
    R"({"name": "user/pio_out/mode:real", "verdict": "proven", "p50_instructions": 1000},
       {"name": "user/hlt/mode:real", "verdict": "proven", "p50_instructions": 500},
       {"name": "user/gone/mode:real", "verdict": "proven", "p50_instructions": 1},
       {"name": "user/never/mode:real", "verdict": "unsupported"})";
constexpr char kAfter[] =
    R"({"name": "user/pio_out/mode:real", "verdict": "proven", "p50_instructions": 1010},
       {"name": "user/hlt/mode:real", "verdict": "no exit", "p50_instructions": 500},
       {"name": "user/never/mode:real", "verdict": "unsupported"})";

TEST(KernelDifferenceTest, ShowsBothCountsAndTheChange) {
  const absl::StatusOr<std::string> table =
      KernelDifference(Result("6.1", kBefore), Result("6.12", kAfter));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(*table, HasSubstr("before: 6.1\nafter:  6.12\n"));
  EXPECT_THAT(*table, HasSubstr("     1000      1010       +10   +1.00%\n"));
  EXPECT_THAT(*table, HasSubstr("500       500         0"));
  EXPECT_THAT(*table, HasSubstr("was proven"));
  EXPECT_THAT(*table, HasSubstr("1 of 2 rows changed"));
  EXPECT_THAT(*table, Not(HasSubstr("user/gone")));
  EXPECT_THAT(*table, Not(HasSubstr("user/never")));
}

TEST(KernelDifferenceTest, RefusesWhatDoesNotCountInstructions) {
  const std::string good = Result("6.1", kBefore);
  EXPECT_THAT(KernelDifference("not json", good).status().message(),
              HasSubstr("before"));
  EXPECT_THAT(KernelDifference(good, R"({"context": {"unit": "ticks"}})")
                  .status()
                  .message(),
              HasSubstr("after"));
}

}  // namespace
}  // namespace worldswitch
