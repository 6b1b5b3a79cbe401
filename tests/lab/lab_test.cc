// `worldswitch lab` as a user meets it: real kernels, booted. Where the
// emulator or the kernel cannot be had, these skip with what the command says.

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

namespace fs = std::filesystem;

constexpr char kCommand[] = WORLDSWITCH_COMMAND;
constexpr char kGuest[] = LAB_GUEST_PROGRAM;
constexpr char kLoopCost[] = LOOP_COST_PROGRAM;
constexpr int kNoLabHere = 3;
// What our loop may add to a bare loop's exit, in instructions.
constexpr long kMostAdded = 40;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Outcome {
  int code = -1;  // 128 + n where signal n ended it
  std::string out;
  std::string err;
};

class LabTest : public ::testing::Test {
 protected:
  LabTest() {
    std::string pattern = ::testing::TempDir() + "lab_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    fs::create_directories(Path("tmp"));
    fs::create_directories(Path("work"));
  }
  ~LabTest() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) const {
    return folder_ + "/" + name;
  }

  // Starts `worldswitch lab ...` in the folder work/, its output in files.
  pid_t Start(const std::vector<std::string>& arguments,
              const std::string& path = "") const {
    std::vector<char*> words = {const_cast<char*>(kCommand),
                                const_cast<char*>("lab")};
    for (const std::string& argument : arguments) {
      words.push_back(const_cast<char*>(argument.c_str()));
    }
    words.push_back(nullptr);
    const pid_t child = fork();
    if (child != 0) return child;
    const int out =
        open(Path("out").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err =
        open(Path("err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    if (chdir(Path("work").c_str()) != 0) _exit(127);
    setenv("TMPDIR", Path("tmp").c_str(), 1);
    if (!path.empty()) setenv("PATH", path.c_str(), 1);
    execv(kCommand, words.data());
    _exit(127);
  }

  Outcome Finish(pid_t child) const {
    int status = 0;
    waitpid(child, &status, 0);
    Outcome outcome;
    outcome.code =
        WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    outcome.out = ReadFile(Path("out"));
    outcome.err = ReadFile(Path("err"));
    return outcome;
  }

  Outcome Run(const std::vector<std::string>& arguments,
              const std::string& path = "") const {
    return Finish(Start(arguments, path));
  }

  // Nothing of a lab is left: no file, and no emulator that uses one.
  void ExpectNothingLeft() const {
    EXPECT_TRUE(fs::is_empty(Path("tmp")));
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string words = ReadFile(entry.path().string() + "/cmdline");
      EXPECT_EQ(words.find(folder_ + "/tmp"), std::string::npos) << words;
    }
  }

  std::string folder_;
};

#define SKIP_WITHOUT_LAB(outcome) \
  if ((outcome).code == kNoLabHere) GTEST_SKIP() << (outcome).err

// ---- Boots under QEMU ----

TEST_F(LabTest, ACommandSeesItsWorldAndItsFilesComeBack) {
  std::ofstream(Path("work/in")) << "contents";
  const Outcome outcome = Run({"kvm_amd", "--module-param", "kvm_amd.nested=0",
                               "--", kGuest, "report", "out", "in"});
  SKIP_WITHOUT_LAB(outcome);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("/dev/kvm yes\n/dev/cpu/0/msr yes\n"));
  EXPECT_THAT(outcome.out, HasSubstr("emulator=QEMU "));
  EXPECT_THAT(outcome.out, HasSubstr("module_parameters=kvm_amd.nested=0"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("standard error")));
  EXPECT_THAT(outcome.err, HasSubstr("on standard error\n"));
  EXPECT_THAT(outcome.err, HasSubstr("a tick is one instruction"));
  EXPECT_THAT(outcome.err, HasSubstr("nrip_save (KVM skips"));
  EXPECT_EQ(ReadFile(Path("work/out")), "contents!");
  EXPECT_EQ(ReadFile(Path("work/in")), "contents");
  ExpectNothingLeft();
}

TEST_F(LabTest, ExitCodesArePassedOn) {
  const Outcome exited = Run({"kvm_amd", "--", kGuest, "exit", "42"});
  SKIP_WITHOUT_LAB(exited);
  EXPECT_EQ(exited.code, 42) << exited.err;
  const Outcome signalled = Run({"kvm_amd", "--", kGuest, "signal"});
  EXPECT_EQ(signalled.code, 128 + SIGABRT) << signalled.err;
}

// The lines of a result but for the date's.
std::string WithoutDate(const std::string& json) {
  std::istringstream lines(json);
  std::string kept;
  int dates = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("  \"date\"", 0) == 0) {
      ++dates;
    } else {
      kept += line + "\n";
    }
  }
  EXPECT_EQ(dates, 1);
  return kept;
}

// The first line in which two texts differ, of both; "" where they are equal.
std::string FirstDifference(const std::string& a, const std::string& b) {
  std::istringstream lines_a(a);
  std::istringstream lines_b(b);
  std::string line_a;
  std::string line_b;
  while (std::getline(lines_a, line_a) && std::getline(lines_b, line_b)) {
    if (line_a != line_b) return line_a.append(" against ").append(line_b);
  }
  return a == b ? "" : "one is longer";
}

// What every row of a lab's result has to be.
void ExpectInstructions(const nlohmann::json& json) {
  EXPECT_EQ(json["context"]["unit"], "instructions");
  EXPECT_EQ(json["context"]["tsc_hz"], 0);
  for (const auto& entry : json["benchmarks"]) {
    EXPECT_EQ(entry["time_unit"], "instructions");
    EXPECT_EQ(entry["repetitions"], 3);
    EXPECT_EQ(entry["iterations"], 1000);
  }
}

TEST_F(LabTest, KvmAmdProvesRowsAndThreeBootsAgreeToTheByte) {
  // The same words: another name of the file would move the command's stack.
  const std::vector<std::string> command = {
      "kvm_amd",    "--",           "bench",  "--scenario", "user/pio_out",
      "--scenario", "kernel/cpuid", "--json", "result.json"};
  const Outcome first = Run(command);
  SKIP_WITHOUT_LAB(first);
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("engine kvm_amd"));
  EXPECT_THAT(first.out, HasSubstr("unit: instructions"));
  EXPECT_THAT(first.out, Not(HasSubstr("atency")));
  EXPECT_THAT(first.out, Not(HasSubstr("distorted")));
  const std::string text = ReadFile(Path("work/result.json"));
  const nlohmann::json json = nlohmann::json::parse(text);
  EXPECT_EQ(json["context"]["engine"], "kvm_amd");
  const auto& print = json["context"]["fingerprint"];
  EXPECT_EQ(print["lab.cpu_model"], "max");
  EXPECT_EQ(print["lab.mitigations"], "off");
  EXPECT_THAT(print["lab.features_absent"].get<std::string>(),
              HasSubstr("decodeassists"));
  EXPECT_THAT(print["lab.kernel"].get<std::string>(), HasSubstr("linux-image"));
  ExpectInstructions(json);
  ASSERT_EQ(json["worldswitch"]["rows"].size(), 6u);
  for (const auto& row : json["worldswitch"]["rows"]) {
    EXPECT_EQ(row["verdict"], "proven") << row["name"] << row["why"];
  }
  EXPECT_EQ(text.find("atency"), std::string::npos);
  for (int boot = 2; boot <= 3; ++boot) {
    ASSERT_EQ(Run(command).code, 0);
    EXPECT_EQ(FirstDifference(WithoutDate(text),
                              WithoutDate(ReadFile(Path("work/result.json")))),
              "");
  }
}

// Ticks of each loop by its name.
std::map<std::string, long> ParseCosts(const std::string& text) {
  std::map<std::string, long> costs;
  std::istringstream lines(text);
  std::string loop;
  for (long ticks = 0; lines >> loop >> ticks;) costs[loop] = ticks;
  return costs;
}

void ExpectCheapLoops(const std::string& text) {
  std::map<std::string, long> costs = ParseCosts(text);
  ASSERT_EQ(costs.size(), 3u) << text;
  EXPECT_LE(costs["virtual"] - costs["bare"], kMostAdded) << text;
  EXPECT_LE(costs["final"] - costs["bare"], kMostAdded) << text;
}

TEST_F(LabTest, OurLoopAddsFewInstructionsOnKvmAmd) {
  const Outcome outcome = Run({"kvm_amd", "--", kLoopCost});
  SKIP_WITHOUT_LAB(outcome);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ExpectCheapLoops(outcome.out);
}

// ---- Boots under Bochs ----

TEST_F(LabTest, KvmIntelProvesRowsAndTwoBootsAgreeToTheByte) {
  const std::vector<std::string> command = {
      "kvm_intel",    "--",         "bench",        "--scenario",
      "user/pio_out", "--scenario", "kernel/cpuid", "--json=result.json"};
  const Outcome outcome = Run(command);
  SKIP_WITHOUT_LAB(outcome);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string text = ReadFile(Path("work/result.json"));
  const nlohmann::json json = nlohmann::json::parse(text);
  EXPECT_EQ(json["context"]["engine"], "kvm_intel");
  EXPECT_THAT(json["context"]["fingerprint"]["lab.emulator"].get<std::string>(),
              HasSubstr("Bochs "));
  ExpectInstructions(json);
  ASSERT_EQ(json["worldswitch"]["rows"].size(), 6u);
  for (const auto& row : json["worldswitch"]["rows"]) {
    EXPECT_EQ(row["verdict"], "proven") << row["name"] << row["why"];
  }
  ASSERT_EQ(Run(command).code, 0);
  EXPECT_EQ(FirstDifference(WithoutDate(text),
                            WithoutDate(ReadFile(Path("work/result.json")))),
            "");
  ExpectNothingLeft();
}

TEST_F(LabTest, OurLoopAddsFewInstructionsOnKvmIntel) {
  const Outcome outcome = Run({"kvm_intel", "--", kLoopCost});
  SKIP_WITHOUT_LAB(outcome);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  ExpectCheapLoops(outcome.out);
}

// ---- Trouble ----

TEST_F(LabTest, ATimeLimitEndsIt) {
  const Outcome outcome =
      Run({"kvm_amd", "--timeout", "8", "--", kGuest, "hang"});
  SKIP_WITHOUT_LAB(outcome);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("within 8 s"));
  EXPECT_THAT(outcome.err, HasSubstr("onsole"));
  ExpectNothingLeft();
}

TEST_F(LabTest, CtrlCEndsTheEmulatorToo) {
  const pid_t child = Start({"kvm_amd", "--", kGuest, "hang"});
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (ReadFile(Path("err")).find("one instruction") == std::string::npos &&
         std::chrono::steady_clock::now() < end) {
    siginfo_t ended = {};
    waitid(P_PID, static_cast<id_t>(child), &ended,
           WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == child) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  kill(child, SIGINT);
  const Outcome outcome = Finish(child);
  SKIP_WITHOUT_LAB(outcome);
  EXPECT_EQ(outcome.code, 128 + SIGINT) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("interrupted"));
  ExpectNothingLeft();
}

TEST_F(LabTest, AModuleParameterThatThereIsNot) {
  const Outcome outcome = Run({"kvm_amd", "--module-param", "kvm_amd.nptt=0",
                               "--", kGuest, "exit", "0"});
  SKIP_WITHOUT_LAB(outcome);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("did you mean \"npt\"?"));
}

TEST_F(LabTest, ACpuWithoutSvmIsSaid) {
  const Outcome outcome =
      Run({"kvm_amd", "--cpu", "qemu64,-svm", "--", kGuest, "exit", "0"});
  SKIP_WITHOUT_LAB(outcome);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("loading module /lab/modules/kvm_amd.ko"));
}

struct BadInput {
  const char* name;
  std::vector<std::string> arguments;
  int code;
  const char* says;
};

class BadInputTest : public LabTest,
                     public ::testing::WithParamInterface<BadInput> {};

TEST_P(BadInputTest, IsRefusedWithTheRemedy) {
  const Outcome outcome = Run(GetParam().arguments);
  EXPECT_EQ(outcome.code, GetParam().code) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(GetParam().says));
  EXPECT_TRUE(fs::is_empty(Path("work")));
  ExpectNothingLeft();
}

INSTANTIATE_TEST_SUITE_P(
    Words, BadInputTest,
    ::testing::Values(
        BadInput{"UnknownLab", {"kvm_arm", "--", "bench"}, 2, "kvm_amd"},
        BadInput{"NoCommand", {"kvm_amd"}, 2, "command"},
        BadInput{"UnknownProgram",
                 {"kvm_amd", "--", "bnech"},
                 2,
                 "did you mean \"bench\"?"},
        BadInput{"UnknownPath",
                 {"kvm_amd", "--", "/no/such"},
                 2,
                 "there is no program /no/such"},
        BadInput{"QemuHasNoVmx",
                 {"kvm_intel", "--emulator", "qemu", "--", "bench"},
                 2,
                 "take --emulator bochs"},
        BadInput{"NoKernelFile",
                 {"kvm_amd", "--kernel", "/no/k+/no/m", "--", "bench"},
                 2,
                 "there is no kernel /no/k"},
        BadInput{"NotAParameter",
                 {"kvm_amd", "--module-param", "npt=0", "--", "bench"},
                 2,
                 "MODULE.NAME=VALUE"},
        BadInput{"NotAPackage",
                 {"kvm_amd", "--kernel-package", "6.1;x", "--", "bench"},
                 2,
                 "not the name of a Debian package"},
        BadInput{"UnwritableResult",
                 {"kvm_amd", "--", "bench", "--json", "/no/such/file"},
                 2,
                 "/no/such/file"},
        BadInput{"AgainstWithoutBench",
                 {"kvm_amd", "--against-kernel", "6.1.0-1-cloud-amd64", "--",
                  "list"},
                 2,
                 "bench"}),
    [](const ::testing::TestParamInfo<BadInput>& each) {
      return std::string(each.param.name);
    });

TEST_F(LabTest, AMissingEmulatorIsNamedWithItsPackage) {
  const Outcome outcome = Run({"kvm_amd", "--", "bench"}, "/no/such");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("apt-get install qemu-system-x86"));
}

}  // namespace
}  // namespace worldswitch
