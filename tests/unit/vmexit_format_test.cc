// vmexit's lines hold what is proven, and nothing else.

#include "bench/vmexit_format.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

Row MakeRow(const std::string& name, GuestMode mode, Verdict verdict) {
  Row row;
  for (const Scenario& scenario : AllScenarios()) {
    if (name == scenario.name) row.scenario = &scenario;
  }
  row.mode = mode;
  row.verdict = verdict;
  row.evidence = "what was seen";
  if (verdict == Verdict::kProven || verdict == Verdict::kNoExit) {
    for (const double batch : {1000.4, 1200.0, 900.0}) {
      Repetition repetition;
      repetition.samples.push_back({.g0 = 0,
                                    .h1 = 0,
                                    .h2 = 0,
                                    .g3 = 5000,
                                    .cpu = 0,
                                    .exits = 1,
                                    .interrupted = false});
      repetition.flags.push_back(0);
      repetition.batch = batch;
      row.repetitions.push_back(std::move(repetition));
    }
  } else {
    row.why = "its reason";
  }
  return row;
}

TEST(VmexitFormatTest, AProvenRowIsItsNameAndTheMedianOfItsBatches) {
  const VmexitText text = VmexitFormat(
      {MakeRow("kernel/cpuid", GuestMode::kRing0, Verdict::kProven),
       MakeRow("user/mmio_write", GuestMode::kRing0, Verdict::kProven)});
  EXPECT_EQ(text.lines, "cpuid 1000\nmmio-no-eventfd:pci-mem 1000\n");
  EXPECT_EQ(text.notes, "");
}

TEST(VmexitFormatTest, WhatIsNotProvenHasNoFigureButAReason) {
  const VmexitText text = VmexitFormat(
      {MakeRow("kernel/cpuid", GuestMode::kRing0, Verdict::kNoExit),
       MakeRow("kernel/mov_dr", GuestMode::kRing0, Verdict::kUnproven),
       MakeRow("kernel/hypercall", GuestMode::kRing0, Verdict::kHangs)});
  EXPECT_EQ(text.lines, "");
  EXPECT_THAT(text.notes, HasSubstr("cpuid: no figure: no exit: what was "
                                    "seen (kernel/cpuid/mode:ring0)\n"));
  EXPECT_THAT(text.notes, HasSubstr("mov_dr: no figure: unproven: its reason"));
  EXPECT_THAT(text.notes,
              HasSubstr("vmcall: no figure: hangs here: its reason"));
}

TEST(VmexitFormatTest, OnlyRing0AndOnlyWhatCorrespondsIsKept) {
  std::vector<Row> rows = {
      MakeRow("kernel/cpuid", GuestMode::kRing3, Verdict::kProven),
      MakeRow("control/empty", GuestMode::kRing0, Verdict::kNoExit),
      MakeRow("kernel/cpuid", GuestMode::kRing0, Verdict::kProven)};
  EXPECT_EQ(VmexitFormat(rows).lines, "cpuid 1000\n");
  KeepVmexitRows(&rows);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].Name(), "kernel/cpuid/mode:ring0");
}

}  // namespace
}  // namespace worldswitch
