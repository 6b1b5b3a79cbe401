#include "lab/exit_path_table.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Result(const std::string& engine, const std::string& rows) {
  return R"({"context": {"unit": "instructions", "engine": ")" + engine +
         R"(", "fingerprint": {"lab.kernel": "6.1", "lab.emulator": "E 1",
             "lab.cpu_model": "m", "lab.mitigations": "off"}},
             "worldswitch": {"rows": [)" +
         rows + "]}}";
}

constexpr char kFirst[] =
    R"({"name": "a", "verdict": "proven", "p50_instructions": 1000},
       {"name": "b", "verdict": "no exit", "p50_instructions": 50},
       {"name": "c", "verdict": "unsupported"},
       {"name": "d", "verdict": "unproven", "p50_instructions": 7})";
constexpr char kSecond[] =
    R"({"name": "a", "verdict": "hangs here"},
       {"name": "c", "verdict": "unsupported"})";

TEST(ExitPathTableTest, NamesTheLabsAndShowsOnlyWhatIsProven) {
  const absl::StatusOr<std::string> table =
      ExitPathTable({Result("kvm_amd", kFirst), Result("kvm_intel", kSecond)});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(*table, HasSubstr("1. kvm_amd of 6.1, E 1, CPU model m, "
                                "mitigations off\n2. kvm_intel of 6.1"));
  EXPECT_THAT(*table, HasSubstr("\n| a | 1000 | hangs here |\n"));
  EXPECT_THAT(*table, HasSubstr("\n| b | (50) | - |\n"));
  EXPECT_THAT(*table, HasSubstr("\n| d | unproven | - |\n"));
  EXPECT_THAT(*table, Not(HasSubstr("| c |")));
}

TEST(ExitPathTableTest, RefusesWhatDoesNotCountInstructions) {
  EXPECT_FALSE(ExitPathTable({}).ok());
  EXPECT_FALSE(ExitPathTable({"no json"}).ok());
  EXPECT_THAT(ExitPathTable({Result("kvm_amd", kFirst),
                             R"({"context": {"unit": "ticks"}})"})
                  .status()
                  .message(),
              HasSubstr("result 2"));
}

}  // namespace
}  // namespace worldswitch
