// `worldswitch conformance` as a user meets it.

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "backends/kvm/kvm_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/system/child_program.h"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class ConformanceCommandTest : public ::testing::Test {
 protected:
  ConformanceCommandTest() {
    std::string pattern = ::testing::TempDir() + "conformance_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    program_ = ChildProgram(WORLDSWITCH_COMMAND, folder_);
  }
  ~ConformanceCommandTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
  ChildProgram program_;
};

TEST_F(ConformanceCommandTest, EveryClausePassesOnKvm) {
  const absl::Status usable = KvmBackendFactory().probe();
  if (!usable.ok()) GTEST_SKIP() << usable;
  const Outcome outcome = program_.Run(
      {"conformance", "--backend", "kvm", "--junit", folder_ + "/all.xml"});
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(ContainsRegex("RUN.1 +passed +passed +passed"),
                    ContainsRegex("kvm on [a-z_]+: [0-9]+ passed, 0 failed, 1 "
                                  "skipped")));
  EXPECT_THAT(
      ReadFile(folder_ + "/all.xml"),
      AllOf(HasSubstr("failures=\"0\""), HasSubstr("name=\"SMP.1 ring0")));
}

TEST_F(ConformanceCommandTest, OnlyTheClauseAndModeAskedFor) {
  const absl::Status usable = KvmBackendFactory().probe();
  if (!usable.ok()) GTEST_SKIP() << usable;
  const Outcome outcome =
      program_.Run({"conformance", "--backend", "kvm", "--clause", "CMP.1 io",
                    "--clause", "RUN.4", "--mode", "ring0"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("CMP.1 io"), HasSubstr("RUN.4"),
                                 Not(HasSubstr("CMP.1 mmio")),
                                 HasSubstr(": 2 passed, 0 failed, 0 skipped")));
}

TEST_F(ConformanceCommandTest, AScriptShowsTheClauseThatNoMachineCan) {
  const std::string script = folder_ + "/script";
  std::ofstream(script) << "hlt\n";
  const Outcome outcome =
      program_.Run({"conformance", "--backend", "scripted:script=" + script,
                    "--junit", "-"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, ContainsRegex("RUN.6 +passed"));
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("<testcase classname=\"conformance.scripted.none\""
                      " name=\"RUN.6 real\"></testcase>"),
            HasSubstr("a backend without a machine runs no guest")));
}

TEST_F(ConformanceCommandTest, BadInputIsRefusedBeforeAnythingRuns) {
  const Outcome clause = program_.Run({"conformance", "--clause", "RUN.99"});
  EXPECT_EQ(clause.code, 2);
  EXPECT_THAT(clause.err, AllOf(HasSubstr("RUN.99 names no clause"),
                                HasSubstr("KICK.4 MEM.1")));
  EXPECT_EQ(program_.Run({"conformance", "--mode", "ring1"}).code, 2);
  EXPECT_EQ(program_.Run({"conformance", "--backend", "no-such"}).code, 2);
  const Outcome file = program_.Run(
      {"conformance", "--junit", folder_ + "/no/such/folder/x.xml"});
  EXPECT_EQ(file.code, 2);
  EXPECT_THAT(file.err, HasSubstr("ENOENT"));
}

}  // namespace
}  // namespace worldswitch
