// The boot image's log becomes the rows that /dev/kvm fills, or an error that
// names the line.

#include "bench/native_log.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bench/result_json.h"
#include "bench/summary.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Lines(const std::vector<std::string>& lines) {
  return absl::StrCat(absl::StrJoin(lines, "\n"), "\n");
}

// A row in the middle of a log of `lines`; 100 samples of 7 + 10 + 5.
std::string LogOf(const std::vector<std::string>& lines) {
  return absl::StrCat("@worldswitch 1\n@info backend svm_amd\n", Lines(lines),
                      "@done 0\n");
}

constexpr char kPioOut[] =
    "@row user/pio_out ring0\n"
    "@rep 4 1\n"
    "@s 7 10 5 1 x98\n"
    "@s 8 11 6 1\n"
    "@s 7 10 5 1\n"
    "@c 4 x100\n"
    "@measured 100 1 0\n"
    "@batch 10 200 50\n"
    "@batch 10 210 50\n"
    "@batch 10 220 50\n"
    "@count vmreads 90 30\n"
    "@count vmwrites 30 30\n"
    "@end";

absl::Status StatusOf(const std::string& text) {
  NativeLog log;
  return ReadNativeLog(text, &log);
}

NativeLog Read(const std::string& text) {
  NativeLog log;
  const absl::Status status = ReadNativeLog(text, &log);
  EXPECT_TRUE(status.ok()) << status;
  return log;
}

TEST(NativeLogTest, ARowIsWhatTheSameRowWouldBeOnKvm) {
  const NativeLog log = Read(LogOf({kPioOut}));
  ASSERT_EQ(log.rows.size(), 1u);
  const Row& row = log.rows[0];
  EXPECT_EQ(row.Name(), "user/pio_out/mode:ring0");
  EXPECT_EQ(row.verdict, Verdict::kProven);
  EXPECT_EQ(row.evidence, "run returned it 100 times in 100 iterations");
  ASSERT_EQ(row.repetitions.size(), 1u);
  EXPECT_EQ(log.repetitions, 1u);
  EXPECT_EQ(log.samples_per_repetition, 100u);
  EXPECT_EQ(row.repetitions[0].warm_up_blocks, 4u);
  EXPECT_TRUE(row.repetitions[0].warm_up_stable);
  const Summary summary = Summarize(row);
  EXPECT_EQ(summary.raw.count(), 100u);
  EXPECT_EQ(summary.raw.median(), 22);
  EXPECT_EQ(summary.raw.max(), 25);
  EXPECT_EQ(summary.net, 18);
  EXPECT_EQ(summary.batch, 16);
  EXPECT_EQ(summary.exits, 100u);
  EXPECT_EQ(summary.clock.verdict, ClockVerdict::kShared);
  ASSERT_TRUE(summary.legs.has_value());
  EXPECT_EQ(summary.legs->exit, 7);
  EXPECT_EQ(summary.legs->handler, 10);
  EXPECT_EQ(summary.legs->entry, 5);
  EXPECT_THAT(row.per_iteration,
              ElementsAre(std::pair("vmreads", 2.0), std::pair("vmwrites", 0)));
}

TEST(NativeLogTest, EveryRepetitionIsJudged) {
  const std::string repetition =
      "@rep 4 1\n@s 7 10 5 1 x50\n@c 4 x50\n@measured 50 1 0\n";
  const std::string one_missed =
      "@rep 4 0\n@s 7 10 5 1 x50\n@c 4 x50\n@measured 50 1 2\n";
  NativeLog log = Read(LogOf({absl::StrCat("@row irq/inject ring0\n",
                                           repetition, repetition, "@end")}));
  EXPECT_EQ(log.repetitions, 2u);
  EXPECT_EQ(log.rows[0].verdict, Verdict::kProven);
  log = Read(LogOf({absl::StrCat("@row irq/inject ring0\n", repetition,
                                 one_missed, "@end")}));
  EXPECT_EQ(log.rows[0].verdict, Verdict::kUnproven);
  EXPECT_THAT(log.rows[0].why, HasSubstr("repetitions disagree"));
  // It stays the reason, whatever comes behind it.
  const std::string disagreement = log.rows[0].why;
  log = Read(LogOf({absl::StrCat("@row irq/inject ring0\n", repetition,
                                 one_missed, repetition, "@end")}));
  EXPECT_EQ(log.rows[0].verdict, Verdict::kUnproven);
  EXPECT_EQ(log.rows[0].why, disagreement);
  log = Read(
      LogOf({absl::StrCat("@row irq/inject ring0\n", one_missed, "@end")}));
  EXPECT_EQ(log.rows[0].why,
            "2 of 50 were not delivered to the guest's handler");
}

TEST(NativeLogTest, ExitsThatDoNotComeOutEvenProveNothing) {
  for (const char* measured : {"@measured 51 0 0", "@measured 49 1 0"}) {
    const NativeLog log =
        Read(LogOf({"@row user/pio_out real", "@rep 4 1", "@s 7 10 5 1 x50",
                    "@c 4 x50", measured, "@end"}));
    EXPECT_EQ(log.rows[0].verdict, Verdict::kUnproven) << measured;
    EXPECT_THAT(log.rows[0].why, HasSubstr("do not come out even"));
  }
}

// The control is proven by the counter that does not move.
TEST(NativeLogTest, ACounterThatStandsStillShowsNoExit) {
  const std::vector<std::string> head = {
      "@row control/empty ring0", "@rep 4 1",
      "@s - 24 - 0 x100",         "@c 24 x100",
      "@measured 0 1 0",          "@batch 200 1000 1000"};
  std::vector<std::string> counted = head;
  counted.insert(counted.end(), {"@count exits 5 5", "@end"});
  NativeLog log = Read(LogOf(counted));
  EXPECT_EQ(log.rows[0].verdict, Verdict::kNoExit);
  const Summary summary = Summarize(log.rows[0]);
  EXPECT_EQ(summary.raw.median(), 24);
  EXPECT_FALSE(summary.legs.has_value());
  EXPECT_EQ(summary.batch, 5);  // the loop's own cost
  std::vector<std::string> uncounted = head;
  uncounted.emplace_back("@end");
  log = Read(LogOf(uncounted));
  EXPECT_EQ(log.rows[0].verdict, Verdict::kUnproven);
  EXPECT_EQ(log.rows[0].why, "the engine has no counter 'exits'");
}

TEST(NativeLogTest, AHostCallIsProvenByItsResults) {
  const std::string head =
      "@row control/immediate_exit -\n@rep 0 0\n@s - 126 - 0 x100\n"
      "@c 3 x100\n";
  NativeLog log = Read(LogOf({head + "@measured 0 1 0\n@end"}));
  EXPECT_EQ(log.rows[0].Name(), "control/immediate_exit");
  EXPECT_EQ(log.rows[0].verdict, Verdict::kProven);
  EXPECT_EQ(log.rows[0].evidence, "all 100 results checked");
  log = Read(LogOf({head + "@measured 0 1 3\n@end"}));
  EXPECT_EQ(log.rows[0].why, "3 of 100 calls gave a wrong result");
}

TEST(NativeLogTest, ARowWithoutFiguresSaysWhy) {
  const NativeLog log =
      Read(LogOf({"@row native/preemption_timer ring0",
                  "@why unsupported this VM cannot be set up for it", "@end",
                  "@row native/cpuid real", "@rep 0 1",
                  "@why hangs no exit for 1000000 ticks, at 0:5000", "@end"}));
  ASSERT_EQ(log.rows.size(), 2u);
  EXPECT_EQ(log.rows[0].verdict, Verdict::kUnsupported);
  EXPECT_EQ(log.rows[0].why, "this VM cannot be set up for it");
  EXPECT_EQ(log.rows[1].verdict, Verdict::kHangs);
  EXPECT_FALSE(log.rows[1].has_figures());
}

TEST(NativeLogTest, InfoClausesAndChecks) {
  const NativeLog log =
      Read(LogOf({"@info cpu AMD EPYC 7.2", "@clause RUN.1 - ring0 passed",
                  "@clause INJ.6 code real failed no error code was pushed",
                  "@check vmcb.efer_svme deviates QEMU does not look",
                  "@check vmcb.asid passed"}));
  EXPECT_EQ(log.InfoOf("backend"), "svm_amd");
  EXPECT_EQ(log.InfoOf("cpu"), "AMD EPYC 7.2");
  EXPECT_EQ(log.InfoOf("nothing"), "");
  ASSERT_EQ(log.clauses.size(), 2u);
  EXPECT_EQ(log.clauses[0].name, "RUN.1 ring0");
  EXPECT_EQ(log.clauses[1].name, "INJ.6 code real");
  EXPECT_EQ(log.clauses[1].verdict, NativeCheck::Verdict::kFailed);
  EXPECT_EQ(log.clauses[1].text, "no error code was pushed");
  ASSERT_EQ(log.checks.size(), 2u);
  EXPECT_EQ(log.checks[0].verdict, NativeCheck::Verdict::kDeviates);
  EXPECT_EQ(log.done, 0);
}

TEST(NativeLogTest, WhatElseIsOnTheLineIsSkipped) {
  const NativeLog log = Read(absl::StrCat(
      "SeaBIOS (version 1.16)\r\n@reboot? \x1b[2J\r\n@worldswitch 1\r\n",
      "user/pio_out ring0 net 18\r\n\r\n@info tsc 2600000000\r\n@done 1\r\n"));
  EXPECT_EQ(log.InfoOf("tsc"), "2600000000");
  EXPECT_EQ(log.done, 1);
}

TEST(NativeLogTest, TheLastOfSeveralBootsCounts) {
  const NativeLog log =
      Read(absl::StrCat("@worldswitch 1\n@info boot first\n@row user/pio_out "
                        "ring0\n@rep 4 1\n",
                        "@worldswitch 1\n@info boot second\n@done 0\n"));
  EXPECT_EQ(log.InfoOf("boot"), "second");
  EXPECT_EQ(log.info.size(), 1u);
}

TEST(NativeLogTest, ALogThatWasCutShortGivesItsWholeRows) {
  NativeLog log;
  const std::string text =
      absl::StrCat("@worldswitch 1\n", kPioOut,
                   "\n@row user/pio_in ring0\n@rep 4 1\n@s 7 1");
  absl::Status status = ReadNativeLog(text, &log);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;  // half a line
  status = ReadNativeLog(text.substr(0, text.size() - 6), &log);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("line 17"), HasSubstr("user/pio_in/mode:ring0"),
                    HasSubstr("cut short")));
  ASSERT_EQ(log.rows.size(), 1u);
  EXPECT_EQ(log.rows[0].Name(), "user/pio_out/mode:ring0");
}

struct BadLog {
  const char* lines;
  const char* message;
};

TEST(NativeLogTest, WhatMakesNoSenseIsNamedWithItsLine) {
  const BadLog kBad[] = {
      {"", "no log of worldswitch-native"},
      {"nothing\nof it", "no log of worldswitch-native"},
      {"@worldswitch 2", "line 1: version '2' of the log"},
      {"@worldswitch", "line 1: @worldswitch with 0 words"},
      {"@worldswitch 1\n@what is this", "line 2: no line of the log begins so"},
      {"@worldswitch 1\n@", "line 2: no line of the log begins so"},
      {"@worldswitch 1\n@info a\tb", "line 2: damaged"},
      {"@worldswitch 1\n@row user/pio_ou ring0",
       "line 2: no scenario 'user/pio_ou'; did you mean user/pio_out"},
      {"@worldswitch 1\n@row user/pio_out ring1", "no mode 'ring1'"},
      {"@worldswitch 1\n@row user/pio_out -", "no mode '-'"},
      {"@worldswitch 1\n@row user/pio_out ring0\n@row user/hlt ring0",
       "a row within user/pio_out"},
      {"@worldswitch 1\n@rep 4 1", "outside a row"},
      {"@worldswitch 1\n@s 1 2 3 1", "outside a repetition"},
      {"@worldswitch 1\n@end", "outside a row"},
      {"@worldswitch 1\n@row user/hlt ring0\n@end", "neither figures nor @why"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 2", "2 is out of range"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n@s 1 2 x 1",
       "'x' is no number"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n@s - 2 3 1",
       "half a sample"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n@s 1 2 3 0",
       "0 is out of range"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n@s 1 2 3 1 5",
       "where xN should be"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n@s 1 2 3 1 x0",
       "0 is out of range"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n@c 5 x99999999999",
       "out of range"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n@c 5 x15000000\n"
       "@c 5 x15000000",
       "line 5: too many samples"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n"
       "@s 1 99999999999999999 3 1",
       "out of range"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n@end",
       "without samples or without @measured"},
      {"@worldswitch 1\n@row user/hlt ring0\n@rep 4 1\n@batch 0 5 5",
       "0 is out of range"},
      {"@worldswitch 1\n@row user/hlt ring0\n@why because", "no verdict"},
      {"@worldswitch 1\n@clause RUN.1 - ring0 maybe", "no verdict 'maybe'"},
      {"@worldswitch 1\n@done x", "'x' is no number"},
      {"@worldswitch 1\n@row user/hlt ring0\n@done 0", "in the middle of"},
      {"@worldswitch 1\n@done 0\n@info a b", "behind @done"},
  };
  for (const BadLog& bad : kBad) {
    const absl::Status status = StatusOf(bad.lines);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad.lines << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.message))
        << bad.lines;
  }
  const std::string twice = LogOf({kPioOut, kPioOut});
  EXPECT_THAT(std::string(StatusOf(twice).message()),
              HasSubstr("a second row user/pio_out/mode:ring0"));
  const std::string long_line = LogOf({std::string(5000, 'x').insert(0, "@")});
  EXPECT_THAT(std::string(StatusOf(long_line).message()),
              HasSubstr("line 3: too long"));
}

TEST(NativeLogTest, WhatTheImageCountsIsInTheResult) {
  NativeLog log = Read(LogOf({kPioOut}));
  const Fingerprint nothing;
  SessionResult result;
  result.rows = std::move(log.rows);
  ResultContext context;
  context.unit = "instructions";
  context.fingerprint = &nothing;
  const std::string json = ResultJson(result, context);
  EXPECT_THAT(
      json, AllOf(HasSubstr("\"per_iteration\""), HasSubstr("\"vmreads\": 2.0"),
                  HasSubstr("\"p50_instructions\": 22")));
}

}  // namespace
}  // namespace worldswitch
