// `worldswitch import`, and what else the command says of ring 0 without
// booting anything. Needs no /dev/kvm.

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/system/child_program.h"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

constexpr std::size_t kColumns = 100;

constexpr char kHead[] =
    "GRUB loading.\r\n@worldswitch 1\r\n@info vendor GenuineIntel\r\n"
    "@info cpu Some CPU\r\n@info backend vmx_intel\r\n"
    "@info tsc_hz 2500000000\r\n@info knob.vpid on\r\n"
    "@info refused.secondary.PAUSE-loop exiting not in IA32_VMX_PROCBASED_"
    "CTLS2\r\n@info path.cpuid.final 85\r\n";
constexpr char kRow[] =
    "@row native/cpuid ring0\r\n@rep 4 1\r\n@s 700 50 700 1 x100\r\n"
    "@c 25 x100\r\n@measured 100 1 0\r\n@batch 10 14600 400\r\n"
    "@count vmreads 20 0\r\n@count vmwrites 10 0\r\n@end\r\n";

class ImportTest : public ::testing::Test {
 protected:
  ImportTest() {
    std::string pattern = ::testing::TempDir() + "import_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    program_ = ChildProgram(WORLDSWITCH_COMMAND, folder_);
  }
  ~ImportTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const {
    return folder_ + "/" + name;
  }
  Outcome Import(const std::string& log,
                 std::vector<std::string> more = {}) const {
    std::ofstream(Path("log"), std::ios::binary) << log;
    more.insert(more.begin(), {"import", Path("log")});
    return program_.Run(more);
  }

  std::string folder_;
  ChildProgram program_;
};

TEST_F(ImportTest, ARealMachinesLogIsShownInTicks) {
  const Outcome outcome =
      Import(std::string(kHead) + kRow + "@done 0\r\n",
             {"--json", Path("json"), "--raw", Path("raw")});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("backend vmx_intel, engine vmx_native"),
            HasSubstr("Some CPU"),
            HasSubstr("TSC ticks of 0.400 ns (2500.0 MHz, the image)"),
            HasSubstr("vpid on"), HasSubstr("PAUSE-loop exiting"),
            HasSubstr("native/cpuid"), HasSubstr("1425"),
            HasSubstr("VMREADs, VMWRITEs an iteration"),
            HasSubstr("cpuid.final 85"), Not(HasSubstr("instructions"))));
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), kColumns) << line;
  }
  const Json json = Json::parse(ReadFile(Path("json")));
  EXPECT_EQ(json["context"]["unit"], "ticks");
  EXPECT_EQ(json["context"]["engine"], "vmx_native");
  EXPECT_EQ(json["context"]["fingerprint"]["native.cpu"], "Some CPU");
  EXPECT_EQ(json["worldswitch"]["knobs"]["vpid"], "on");
  const Json& row = json["worldswitch"]["rows"][0];
  EXPECT_EQ(row["verdict"], "proven");
  EXPECT_EQ(row["net_ticks"], 1425);
  EXPECT_EQ(row["per_iteration"]["vmreads"], 2.0);
  EXPECT_EQ(row["legs"]["exit"], 700);
  // 1450 ticks of 0.4 ns.
  EXPECT_EQ(json["benchmarks"][0]["real_time"], 580.0);
  const std::string raw = ReadFile(Path("raw"));
  EXPECT_EQ(std::count(raw.begin(), raw.end(), '\n'), 101);
}

// A log of nothing but facts.
std::string LogOf(const std::string& facts) {
  return "@worldswitch 1\n@info vendor AuthenticAMD\n@info backend svm_amd\n" +
         facts + kRow + "@done 0\n";
}

TEST_F(ImportTest, TheFrequencysSourceIsToldAndWhatItLeavesOpen) {
  const Outcome told = Import(
      LogOf("@info tsc_invariant yes\n@info tsc_hz 2500000000\n"
            "@info tsc_source CPUID 15h\n@info tsc_cpuid_15h_hz 2500000000\n"
            "@info tsc_pit_hz 2500012345\n"
            "@info tsc_pit_error_ppm 47\n"),
      {"--json", Path("json")});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_THAT(told.out,
              AllOf(HasSubstr("TSC ticks of 0.400 ns (2500.0 MHz, CPUID 15h)"),
                    Not(HasSubstr("distorted"))));
  const Json json = Json::parse(ReadFile(Path("json")));
  EXPECT_EQ(json["context"]["tsc_hz"], 2500000000.0);
  EXPECT_EQ(json["context"]["tsc_source"], "CPUID 15h");

  const auto measured = [this](const std::string& leaf) {
    return Import(LogOf("@info tsc_hz 3700000000\n"
                        "@info tsc_source measured by the PIT\n" +
                        leaf + "@info tsc_pit_error_ppm 47\n"))
        .out;
  };
  EXPECT_THAT(measured("@info tsc_cpuid_15h_hz 3600000000\n"),
              HasSubstr("0.270 ns (3700.0 MHz, measured by the PIT to 47 ppm; "
                        "CPUID 15h says 3600000000"));
  EXPECT_THAT(measured("@info tsc_cpuid_16h_hz 2600000000\n"),
              HasSubstr("to 47 ppm; CPUID 16h says 2600000000"));
  // Rounded, and not of the TSC.
  EXPECT_THAT(measured("@info tsc_cpuid_16h_hz 3690000000\n"),
              HasSubstr("to 47 ppm)"));

  const Outcome unknown =
      Import(LogOf("@info tsc_source not known\n"), {"--json", Path("json")});
  EXPECT_THAT(unknown.out,
              AllOf(HasSubstr("ticks of the TSC, whose frequency is not known"),
                    Not(HasSubstr(" ns"))));
  EXPECT_EQ(Json::parse(ReadFile(Path("json")))["context"]["tsc_hz"], 0);
}

TEST_F(ImportTest, AMeasuredFrequencyIsNoPartOfTheMachine) {
  const auto hash = [this](const std::string& facts) -> std::string {
    Import(LogOf(facts), {"--json", Path("json")});
    return Json::parse(ReadFile(Path("json")))["context"]["fingerprint_hash"];
  };
  const auto measured = [](const char* hz) {
    return absl::StrCat("@info tsc_hz ", hz,
                        "\n@info tsc_source measured by the PIT\n"
                        "@info tsc_pit_hz ",
                        hz, "\n@info tsc_pit_error_ppm 47\n");
  };
  EXPECT_EQ(hash(measured("3700000000")), hash(measured("3700012345")));
  EXPECT_NE(hash("@info tsc_hz 25\n@info tsc_source CPUID 15h\n"),
            hash("@info tsc_hz 26\n@info tsc_source CPUID 15h\n"));
}

TEST_F(ImportTest, WhatDistortsIsTold) {
  const Outcome outcome =
      Import(LogOf("@info hypervisor KVMKVMKVM\n@info tsc_invariant no\n"
                   "@info tsc_hz 2500000000\n"));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("under the hypervisor KVMKVMKVM"),
                                 HasSubstr("the TSC is not invariant"),
                                 HasSubstr("TSC ticks of 0.400 ns")));
}

TEST_F(ImportTest, AnEmulatorsTicksAreNoTimeOutsideALabEither) {
  const Outcome outcome =
      Import(LogOf("@info emulator TCGTCGTCGTCG\n@info tsc_invariant no\n"
                   "@info tsc_hz 1000000000\n"),
             {"--json", Path("json")});
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("unit:    instructions"),
                    HasSubstr("emulator: TCGTCGTCGTCG"),
                    Not(HasSubstr("distorted")), Not(HasSubstr(" ns"))));
  EXPECT_EQ(Json::parse(ReadFile(Path("json")))["context"]["tsc_hz"], 0);
}

TEST_F(ImportTest, ALabsLogIsShownInInstructions) {
  const Outcome outcome =
      Import(std::string(kHead) + "@info lab.emulator Bochs 2.7\n" + kRow +
             "@done 0\n");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("unit:    instructions"),
                                 HasSubstr("emulator Bochs 2.7")));
}

TEST_F(ImportTest, WhatIsWholeOfACutLogIsShown) {
  const Outcome outcome = Import(std::string(kHead) + kRow + "@row user/hlt ");
  EXPECT_EQ(outcome.code, 2) << outcome.err;  // half a line makes no sense
  const Outcome cut =
      Import(std::string(kHead) + kRow + "@row user/hlt real\n@rep 1 1\n");
  EXPECT_EQ(cut.code, 1);
  EXPECT_THAT(cut.err,
              AllOf(HasSubstr("cut short"), HasSubstr("user/hlt/mode:real")));
  EXPECT_THAT(cut.out, HasSubstr("native/cpuid"));
}

TEST_F(ImportTest, TheImagesVerdictIsTheExitCode) {
  const Outcome failed = Import(
      std::string(kHead) + "@check vmcs.cr0 failed it was accepted\n@done 1\n");
  EXPECT_EQ(failed.code, 1);
  EXPECT_THAT(failed.out, AllOf(HasSubstr("1 failed"),
                                HasSubstr("vmcs.cr0: it was accepted")));
  const Outcome nothing = Import("@worldswitch 1\nno VMX here\n@done 3\n");
  EXPECT_EQ(nothing.code, 3);
  EXPECT_NE(nothing.err, "");
}

TEST_F(ImportTest, WhatIsNoLogIsRefused) {
  const Outcome outcome = Import("Linux version 6.1\n", {"--json", Path("j")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("no log of worldswitch-native"));
  EXPECT_EQ(outcome.out, "");
  EXPECT_FALSE(std::filesystem::exists(Path("j")));
  const Outcome missing = program_.Run({"import", Path("missing")});
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.err, HasSubstr("ENOENT"));
  const Outcome folder = program_.Run({"import", folder_});
  EXPECT_EQ(folder.code, 2);
  EXPECT_THAT(folder.err, HasSubstr("EISDIR"));
}

TEST_F(ImportTest, TheLogMayComeByAPipe) {
  std::ofstream(Path("log")) << kHead << kRow << "@done 0\n";
  const std::string log = Path("log");
  const Outcome outcome = program_.Run({"import", "-"}, [&log] {
    const int in = open(log.c_str(), O_RDONLY | O_CLOEXEC);
    dup2(in, STDIN_FILENO);
  });
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("native/cpuid"));
}

TEST_F(ImportTest, NativeScenariosAndKnobsAreListed) {
  const Outcome list = program_.Run({"list"});
  EXPECT_THAT(list.out, AllOf(HasSubstr("native/page_fault_1g"),
                              HasSubstr("place: native only."),
                              HasSubstr("place: kvm only.")));
  for (const char* engine : {"svm_native", "vmx_native"}) {
    const Outcome text = program_.Run({"knobs", "--backend", engine});
    EXPECT_EQ(text.code, 0) << text.err;
    EXPECT_THAT(text.out, AllOf(HasSubstr(engine), HasSubstr("msr_bitmap")));
    const Json json =
        Json::parse(program_.Run({"knobs", "--json", "--backend", engine}).out);
    EXPECT_GT(json["native"][engine].size(), 5u);
  }
}

}  // namespace
}  // namespace worldswitch
