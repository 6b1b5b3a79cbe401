// The command as a user meets it: results, bad input, trouble, Ctrl-C.

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "backends/kvm/kvm_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/system/child_program.h"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kCommand[] = WORLDSWITCH_COMMAND;
constexpr std::size_t kColumns = 100;

class CommandTest : public ::testing::Test {
 protected:
  CommandTest() {
    std::string pattern = ::testing::TempDir() + "command_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    program_ = ChildProgram(kCommand, folder_);
  }
  ~CommandTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const {
    return folder_ + "/" + name;
  }

  pid_t Start(const std::vector<std::string>& arguments) const {
    return program_.Start(arguments);
  }
  Outcome Finish(pid_t child) const { return program_.Finish(child); }
  Outcome Run(const std::vector<std::string>& arguments,
              const std::function<void()>& before = nullptr) const {
    return program_.Run(arguments, before);
  }

  std::string folder_;
  ChildProgram program_;
};

class CommandOnKvmTest : public CommandTest {
 protected:
  void SetUp() override {
    if (const absl::Status status = ProbeKvm(); !status.ok()) {
      GTEST_SKIP() << status;
    }
  }
};

TEST_F(CommandOnKvmTest, KnobsSayWhatCanBeTunedAndHow) {
  const Outcome text = Run({"knobs"});
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("registers"));
  std::istringstream lines(text.out);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), kColumns) << line;
  }
  const Outcome as_json = Run({"knobs", "--json", "--backend", "kvm"});
  ASSERT_EQ(as_json.code, 0) << as_json.err;
  const nlohmann::json json = nlohmann::json::parse(as_json.out);
  ASSERT_GT(json["knobs"].size(), 5u);
  for (const nlohmann::json& knob : json["knobs"]) {
    EXPECT_NE(knob["name"], "");
    EXPECT_NE(knob["meaning"], "") << knob;
    EXPECT_NE(knob["applied_by"], "") << knob;
    EXPECT_EQ(knob["settable"].get<bool>(),
              knob["not_settable"].get<std::string>().empty())
        << knob;
  }
}

TEST_F(CommandOnKvmTest, AKnobThatIsFixedIsRefusedWithTheWayToSetIt) {
  const nlohmann::json json =
      nlohmann::json::parse(Run({"knobs", "--json"}).out);
  for (const nlohmann::json& knob : json["knobs"]) {
    if (knob["settable"]) continue;
    const Outcome outcome =
        Run({"bench", "--scenario", "user/pio_out", "--knob",
             knob["name"].get<std::string>() + "=1"});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err,
                HasSubstr(knob["not_settable"].get<std::string>()));
    return;
  }
  GTEST_SKIP() << "every knob can be set here";
}

TEST_F(CommandOnKvmTest, BenchProvesAnExitAndWritesIt) {
  const Outcome outcome = Run({"bench", "--scenario", "user/pio_out", "--mode",
                               "real", "--samples", "200", "--repetitions", "2",
                               "--json", Path("j"), "--raw", Path("r")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("user/pio_out"));
  EXPECT_THAT(outcome.out, HasSubstr("proven"));
  EXPECT_THAT(outcome.out, HasSubstr("A/A noise floor"));
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Path("j")));
  ASSERT_EQ(json["benchmarks"].size(), 2u);
  EXPECT_EQ(json["benchmarks"][0]["iterations"], 200);
  EXPECT_EQ(json["benchmarks"][0]["exits_per_iteration"], 1);
  const nlohmann::json& row = json["worldswitch"]["rows"][0];
  EXPECT_EQ(row["verdict"], "proven");
  EXPECT_EQ(row["legs"]["negative"], 0);
  EXPECT_EQ(row["clock"]["verdict"], "shared");
  EXPECT_THAT(json["context"]["engine"],
              AnyOf("kvm_intel", "kvm_amd", "kvm_pvm", "unknown"));
  const std::string raw = ReadFile(Path("r"));
  EXPECT_EQ(std::count(raw.begin(), raw.end(), '\n'), 1 + 400);
}

// The only run of everything: it takes its time.
TEST_F(CommandOnKvmTest, TheTableFitsAndEveryRowEndsWithAVerdict) {
  const Outcome outcome = Run({"bench", "--samples", "20", "--repetitions", "1",
                               "--seconds", "5", "--json", Path("j")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::stringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), kColumns) << line;
  }
  EXPECT_THAT(outcome.out, Not(HasSubstr("\033")));
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Path("j")));
  EXPECT_GT(json["worldswitch"]["rows"].size(), 150u);
  for (const nlohmann::json& row : json["worldswitch"]["rows"]) {
    const std::string verdict = row["verdict"];
    EXPECT_THAT(verdict, AnyOf("proven", "no exit", "unproven", "unsupported",
                               "hangs here"))
        << row["name"];
    if (verdict == "unsupported" || verdict == "hangs here") {
      EXPECT_TRUE(row.contains("why")) << row["name"];
    } else {
      EXPECT_TRUE(row.contains("evidence")) << row["name"];
      EXPECT_GT(row["samples"], 0) << row["name"];
    }
  }
}

TEST_F(CommandOnKvmTest, VmexitsFormatIsNamesAndCyclesOfWhatIsProven) {
  const Outcome outcome =
      Run({"bench", "--format", "vmexit", "--scenario", "user/pio_out",
           "--scenario", "user/pio_in_long", "--scenario", "control/empty",
           "--scenario", "kernel/wrmsr_tsx_ctrl", "--samples", "50",
           "--repetitions", "1"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::stringstream lines(outcome.out);
  std::map<std::string, double> cycles;
  for (std::string line; std::getline(lines, line);) {
    std::stringstream words(line);
    std::string name;
    double figure = 0;
    ASSERT_TRUE(words >> name >> figure) << line;
    EXPECT_TRUE(words.eof()) << line;
    cycles[name] = figure;
  }
  EXPECT_GT(cycles["portio-no-eventfd:pci-io"], 0);
  EXPECT_GT(cycles["inl_from_qemu"], 0);
  // One or the other, by what the engine does with it.
  EXPECT_EQ(
      !cycles.contains("wr_tsx_ctrl_msr"),
      outcome.err.find("wr_tsx_ctrl_msr: no figure: ") != std::string::npos)
      << outcome.err;
  EXPECT_LE(cycles.size(), 3u);
  EXPECT_THAT(outcome.err, HasSubstr("engine "));
}

TEST_F(CommandOnKvmTest, WithOneCpuWhatTakesTwoSaysSo) {
  const Outcome outcome =
      Run({"bench", "--scenario", "vcpu/*", "--mode", "ring0", "--samples",
           "50", "--repetitions", "1"},
          [] {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(sched_getcpu(), &one);
            sched_setaffinity(0, sizeof(one), &one);
          });
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, ContainsRegex("migrate_cpu +ring0 unsupported: "
                                         "only CPU [0-9]+ may be used here"));
  EXPECT_THAT(outcome.out,
              ContainsRegex("parallel_2 +ring0 unsupported: only one CPU"));
  EXPECT_THAT(outcome.out, ContainsRegex("alternate_vms +ring0 proven"));
}

TEST_F(CommandOnKvmTest, AHangingGuestDoesNotEndTheRun) {
  // What follows a hypercall that hangs, where it hangs, is still measured.
  const Outcome outcome =
      Run({"bench", "--scenario", "kernel/hypercall", "--scenario",
           "user/pio_out", "--mode", "ring0", "--samples", "50",
           "--repetitions", "1", "--json", Path("j")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json rows =
      nlohmann::json::parse(ReadFile(Path("j")))["worldswitch"]["rows"];
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_NE(rows[0]["verdict"], "pending");
  EXPECT_EQ(rows[1]["verdict"], "proven");
}

TEST_F(CommandOnKvmTest, CtrlCShowsTheRowsSoFarAndValidJson) {
  const pid_t child =
      Start({"bench", "--scenario", "user/pio_out", "--samples", "5000",
             "--repetitions", "10000", "--json", Path("j")});
  // The second tenth of a progress line is far away; the first is at once.
  while (ReadFile(Path("err")).find("user/pio_out") == std::string::npos) {
    ASSERT_EQ(waitpid(child, nullptr, WNOHANG), 0) << ReadFile(Path("err"));
    usleep(10'000);
  }
  usleep(500'000);
  kill(child, SIGINT);
  const Outcome outcome = Finish(child);
  EXPECT_EQ(outcome.code, 128 + SIGINT) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("Interrupted after"));
  const nlohmann::json json = nlohmann::json::parse(ReadFile(Path("j")));
  EXPECT_EQ(json["worldswitch"]["interrupted"], true);
  EXPECT_EQ(json["worldswitch"]["rows"][0]["verdict"], "proven");
}

TEST_F(CommandOnKvmTest, DescriptorExhaustionIsNamed) {
  const Outcome outcome = Run({"bench", "--scenario", "user/hlt"}, [] {
    const rlimit few = {.rlim_cur = 5, .rlim_max = 5};
    setrlimit(RLIMIT_NOFILE, &few);
  });
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("EMFILE"));
  EXPECT_THAT(outcome.err, HasSubstr("ulimit"));
}

TEST_F(CommandOnKvmTest, ADeviceThatMayNotBeOpenedIsNamedWithTheRemedy) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root, to become somebody else";
  const Outcome outcome = Run({"bench", "--scenario", "user/hlt"}, [] {
    constexpr uid_t kNobody = 65534;
    if (setgid(kNobody) != 0 || setuid(kNobody) != 0) _exit(126);
  });
  if (outcome.code == 0) GTEST_SKIP() << "everybody may open /dev/kvm here";
  if (outcome.code == 126 || outcome.code == 127) {
    GTEST_SKIP() << "nobody may not run the command here";
  }
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("EACCES"));
  EXPECT_THAT(outcome.err, HasSubstr("kvm"));
}

TEST_F(CommandTest, AMissingDeviceIsNamedWithTheRemedy) {
  const Outcome outcome =
      Run({"bench", "--backend", "kvm:device=" + Path("none")});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("ENOENT"));
  EXPECT_THAT(outcome.err, HasSubstr("modprobe"));
}

TEST_F(CommandTest, WhereDevKvmIsSomethingElseTheCommandSaysSo) {
  // What only KVM has is not measured elsewhere instead.
  const std::vector<std::vector<std::string>> all = {
      {"bench", "--knob", "registers=ioctl"},
      {"bench", "--scenario", "kernel/*"},
      {"bench", "--backend", "kvm"}};
  for (const std::vector<std::string>& arguments : all) {
    const Outcome outcome = Run(arguments, HideDevKvm);
    if (outcome.code == kCannotHide) GTEST_SKIP() << outcome.err;
    EXPECT_EQ(outcome.code, 3) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("ENOTTY"));
    EXPECT_THAT(outcome.err, HasSubstr("/dev/kvm is not KVM here"));
    EXPECT_EQ(outcome.out, "");
  }
  const Outcome probe = Run({"probe"}, HideDevKvm);
  EXPECT_EQ(probe.code, 0) << probe.err;
  EXPECT_THAT(probe.out, HasSubstr("not usable"));
}

TEST_F(CommandTest, ADeviceThatIsNotKvmIsRefused) {
  const Outcome outcome = Run({"bench", "--backend", "kvm:device=/dev/null"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("/dev/null"));
}

struct BadInput {
  std::vector<std::string> arguments;
  std::string named;  // in the message
};

TEST_F(CommandTest, BadInputIsRefusedBeforeAnythingRuns) {
  const std::vector<BadInput> all = {
      {{"bench", "--backend", "nope"}, "nope"},
      {{"bench", "--backend", "kvm:colour=red"}, "colour"},
      {{"bench", "--backend", "kvm:device"}, "device"},
      {{"bench", "--scenario", "user/nope"}, "user/nope"},
      {{"bench", "--knob", "nope=1"}, "nope"},
      {{"bench", "--knob", "registers=maybe"}, "maybe"},
      {{"bench", "--knob", "registers"}, "registers"},
      {{"bench", "--mode", "ring1"}, "ring1"},
      {{"bench", "--samples", "0"}, "samples"},
      {{"bench", "--samples", "-1"}, "samples"},
      {{"bench", "--repetitions", "x"}, "repetitions"},
      {{"bench", "--cpu", "4095"}, "4095"},
      {{"bench", "--seconds", "-1"}, "seconds"},
      {{"bench", "--format", "xml"}, "xml"},
      {{"bench", "--format", "vmexit", "--mode", "ring3"}, "ring3"},
      {{"bench", "--format", "vmexit", "--scenario", "control/*"}, "vmexit"},
      {{"bench", "--json", Path("no/such")}, "no/such"},
      {{"bench", "--raw", Path("no/such")}, "no/such"},
      {{"bench", "--frobnicate"}, "frobnicate"},
      {{"frobnicate"}, "frobnicate"},
      {{}, "subcommand"},
  };
  const bool has_kvm = ProbeKvm().ok();
  for (const BadInput& bad : all) {
    const Outcome outcome = Run(bad.arguments);
    const std::string shown = testing::PrintToString(bad.arguments);
    const bool is_knob = bad.arguments.size() > 1 &&
                         bad.arguments[1] == "--knob" &&
                         bad.named != "registers";
    // Which knobs there are is known once there is a backend.
    if (is_knob && !has_kvm) continue;
    EXPECT_EQ(outcome.code, 2) << shown << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(bad.named)) << shown;
    EXPECT_EQ(outcome.out, "") << shown;
  }
}

TEST_F(CommandTest, HelpAndListTeach) {
  EXPECT_THAT(Run({"--help"}).out, HasSubstr("bench"));
  EXPECT_THAT(Run({"bench", "--help"}).out, HasSubstr("--scenario"));
  const Outcome list = Run({"list"});
  EXPECT_EQ(list.code, 0);
  EXPECT_THAT(list.out, HasSubstr("kernel/page_fault_first_touch"));
  EXPECT_THAT(list.out, HasSubstr("proof: "));
  EXPECT_THAT(list.out, HasSubstr("vmexit: mov_to_cr8 (in ring0)"));
}

TEST_F(CommandTest, ProbeNamesBackendsHostAndDistortions) {
  const Outcome outcome = Run({"probe", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  // In the order in which auto tries them.
  const std::vector<std::string> names = {"vmx_intel", "svm_amd", "kvm",
                                          "scripted"};
  ASSERT_EQ(json["backends"].size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const nlohmann::json& backend = json["backends"][i];
    EXPECT_EQ(backend["name"], names[i]);
    if (backend["usable"] == false) {
      EXPECT_NE(backend["why_not"], "") << names[i];
    } else if (names[i] != "scripted") {
      EXPECT_NE(backend["engine"], "") << names[i];
      EXPECT_NE(backend["engine_is"], "") << names[i];
    }
  }
  EXPECT_TRUE(json["host"].contains("kernel.release"));
  EXPECT_TRUE(json.contains("distortions"));
  EXPECT_THAT(Run({"probe"}).out, HasSubstr("what distorts figures here"));
}

// What nobody can read is said as well, so every host has all five.
TEST_F(CommandTest, ProbeShowsBothVendorsCapabilities) {
  const nlohmann::json json =
      nlohmann::json::parse(Run({"probe", "--json"}).out);
  std::vector<std::string> shown;
  for (const nlohmann::json& report : json["capabilities"]) {
    shown.push_back(report["vendor"].get<std::string>() + ", " +
                    report["of"].get<std::string>());
    EXPECT_NE(report["source"], "") << shown.back();
    EXPECT_TRUE(!report["registers"].empty() ||
                !report["note"].get<std::string>().empty())
        << shown.back();
    for (const nlohmann::json& shown_register : report["registers"]) {
      EXPECT_NE(shown_register["register"], "");
      EXPECT_FALSE(shown_register["fields"].empty());
    }
  }
  const std::string nested =
      "what KVM offers to nested guests, not the processor";
  EXPECT_THAT(shown,
              ElementsAre("VT-x, the processor", "VT-x, " + nested,
                          "SVM, the processor", "SVM, " + nested,
                          "KVM, its other feature MSRs, as it offers them to "
                          "guests"));
  const std::string text = Run({"probe"}).out;
  for (const std::string& title : shown) {
    EXPECT_THAT(text, HasSubstr("  " + title));
  }
}

// The engine by KVM's own modules, as probe has it of the backend kvm.
std::string EngineOf(const nlohmann::json& probe) {
  for (const nlohmann::json& backend : probe["backends"]) {
    if (backend["name"] == "kvm") return backend["engine"];
  }
  return "";
}

TEST_F(CommandOnKvmTest, ProbeNamesTheEngineOnce) {
  const std::string engine =
      EngineOf(nlohmann::json::parse(Run({"probe", "--json"}).out));
  std::istringstream text(Run({"probe"}).out);
  int lines = 0;
  bool in_kvm = false;
  for (std::string line; std::getline(text, line);) {
    if (line.rfind("backend ", 0) == 0)
      in_kvm = line.rfind("backend kvm:", 0) == 0;
    if (in_kvm && line.rfind("  engine ", 0) == 0) {
      ++lines;
      EXPECT_THAT(line, HasSubstr(engine));
    }
  }
  EXPECT_EQ(lines, 1);
}

TEST_F(CommandOnKvmTest, TheWrongVendorIsRefusedWithWhatTheEngineIs) {
  const std::string engine =
      EngineOf(nlohmann::json::parse(Run({"probe", "--json"}).out));
  const std::map<std::string, std::string> engines = {
      {"vmx_intel", "kvm_intel"}, {"svm_amd", "kvm_amd"}};
  for (const auto& [backend, own] : engines) {
    const Outcome outcome =
        Run({"bench", "--backend", backend, "--scenario", "user/pio_out",
             "--mode", "real", "--samples", "50", "--repetitions", "1"});
    if (engine == own) {
      EXPECT_EQ(outcome.code, 0) << outcome.err;
      EXPECT_THAT(outcome.out, HasSubstr("backend " + backend));
      continue;
    }
    EXPECT_EQ(outcome.code, 3) << backend;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err,
                AllOf(HasSubstr(backend), HasSubstr(own),
                      HasSubstr(engine == "unknown" ? "not known" : engine),
                      HasSubstr("take backend ")));
  }
}

TEST_F(CommandOnKvmTest, AutoTakesTheEnginesOwnBackendAndSaysWhy) {
  const std::string engine =
      EngineOf(nlohmann::json::parse(Run({"probe", "--json"}).out));
  const std::string expected = engine == "kvm_intel" ? "vmx_intel"
                               : engine == "kvm_amd" ? "svm_amd"
                                                     : "kvm";
  const Outcome outcome =
      Run({"bench", "--scenario", "user/pio_out", "--mode", "real", "--samples",
           "50", "--repetitions", "1", "--json", Path("j")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("backend " + expected + ": the engine is " + engine));
  if (expected != "vmx_intel") {
    EXPECT_THAT(outcome.err, HasSubstr("skipped backend vmx_intel"));
  }
  EXPECT_EQ(nlohmann::json::parse(ReadFile(Path("j")))["context"]["backend"],
            expected);
}

}  // namespace
}  // namespace worldswitch
