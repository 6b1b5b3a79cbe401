#include "conformance/clause_report.h"

#include <cstddef>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ClauseReport Example() {
  ClauseReport report = {
      .backend = "kvm", .engine = "kvm_intel", .results = {}};
  report.results = {
      {"RUN.1", "", "one exit", GuestMode::kReal, ClauseVerdict::kPassed, ""},
      {"RUN.1", "", "one exit", GuestMode::kRing3, ClauseVerdict::kFailed,
       "expected Io, saw <Hlt> & \"more\""},
      {"CMP.1", "io", "an IN", GuestMode::kReal, ClauseVerdict::kSkipped,
       "no threads"},
      {"CMP.1", "io", "an IN", GuestMode::kRing0, ClauseVerdict::kSkipped,
       "no threads"},
      {"KICK.4", "race", "gone", GuestMode::kReal, ClauseVerdict::kSkipped,
       "no threads"},
  };
  return report;
}

TEST(ClauseReportTest, ALineAClauseWithEveryModesVerdict) {
  const std::string text = ClauseReportText(Example());
  EXPECT_THAT(
      text,
      HasSubstr("RUN.1            passed   -        FAILED   one exit\n"));
  EXPECT_THAT(text,
              HasSubstr("CMP.1 io         skipped  skipped  -        an IN\n"));
  EXPECT_THAT(text, HasSubstr("kvm on kvm_intel: 1 passed, 1 failed, 3 skipp"));
}

TEST(ClauseReportTest, FailuresSayWhatWasSeenAndSkipsWhyOnce) {
  const std::string text = ClauseReportText(Example());
  EXPECT_THAT(
      text,
      HasSubstr("failed:\n  RUN.1 ring3: expected Io, saw <Hlt> & \"more\"\n"));
  EXPECT_THAT(text, HasSubstr("skipped:\n  CMP.1 io real, ring0; KICK.4 race "
                              "real: no threads\n"));
}

TEST(ClauseReportTest, NoLineIsWiderThanATerminal) {
  ClauseReport report = Example();
  for (int i = 0; i < 40; ++i) report.results[1].text += " another word";
  std::istringstream lines(ClauseReportText(report));
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), std::size_t{100}) << line;
  }
}

TEST(ClauseReportTest, JUnitCountsAndEscapes) {
  const std::string xml = ClauseReportJUnit(Example());
  EXPECT_THAT(xml, HasSubstr("<testsuite name=\"conformance.kvm.kvm_intel\" "
                             "tests=\"5\" failures=\"1\" errors=\"0\" "
                             "skipped=\"3\">"));
  EXPECT_THAT(xml, HasSubstr("name=\"RUN.1 ring3\"><failure message=\"one "
                             "exit\">expected Io, saw &lt;Hlt&gt; &amp; "
                             "&quot;more&quot;</failure></testcase>"));
  EXPECT_THAT(xml, HasSubstr("name=\"CMP.1 io real\"><skipped message=\"no "
                             "threads\"/></testcase>"));
  EXPECT_THAT(xml, Not(HasSubstr("<Hlt>")));
}

TEST(ClauseReportTest, ControlCharactersAreNoXml) {
  ClauseReport report = Example();
  report.results[1].text = "a\x01z";
  EXPECT_THAT(ClauseReportJUnit(report), HasSubstr(">a?z<"));
}

TEST(ClauseReportTest, PatternsNameClausesTheirPartsAndGroups) {
  EXPECT_TRUE(NamesClause("CMP.1", "CMP.1", "io"));
  EXPECT_TRUE(NamesClause("CMP.1 io", "CMP.1", "io"));
  EXPECT_FALSE(NamesClause("CMP.1 msr", "CMP.1", "io"));
  EXPECT_TRUE(NamesClause("CMP.*", "CMP.3", ""));
  EXPECT_FALSE(NamesClause("CMP", "CMP.3", ""));
}

}  // namespace
}  // namespace worldswitch
