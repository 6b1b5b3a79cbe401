// `worldswitch lab *_native` as a user meets it: the boot image under the
// emulators. Where one is not installed, these skip with what the command says.

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/system/child_program.h"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Json = nlohmann::json;

constexpr int kNoLabHere = 3;

struct NativeLab {
  const char* name;
  std::vector<std::string> words;  // behind "lab"
  const char* backend;
  const char* emulator;
};

class NativeLabTest : public ::testing::Test {
 protected:
  NativeLabTest() {
    std::string pattern = ::testing::TempDir() + "native_lab_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    program_ = ChildProgram(WORLDSWITCH_COMMAND, folder_);
  }
  ~NativeLabTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const {
    return folder_ + "/" + name;
  }

  Outcome Lab(const NativeLab& lab, const std::vector<std::string>& more,
              const std::vector<std::string>& command) const {
    std::vector<std::string> words = {"lab"};
    words.insert(words.end(), lab.words.begin(), lab.words.end());
    words.insert(words.end(), more.begin(), more.end());
    words.emplace_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return program_.Run(words);
  }

  static bool NotInstalled(const Outcome& outcome) {
    return outcome.code == kNoLabHere &&
           outcome.err.find("not installed") != std::string::npos;
  }

  std::string folder_;
  ChildProgram program_;
};

std::string Verdict(const Json& json, const std::string& name) {
  for (const Json& row : json["worldswitch"]["rows"]) {
    if (row["name"] == name) return row["verdict"];
  }
  return "no such row";
}

class EachNativeLabTest : public NativeLabTest,
                          public ::testing::WithParamInterface<NativeLab> {};

// The default set, proven; the same to the last tick in a second boot; and the
// kept log imports as what it was.
TEST_P(EachNativeLabTest, TheDefaultSetIsProvenAndTheSameEveryTime) {
  const NativeLab& lab = GetParam();
  const Outcome first =
      Lab(lab, {"--log", Path("log")},
          {"bench", "--json", Path("json"), "--raw", Path("raw")});
  if (NotInstalled(first)) GTEST_SKIP() << first.err;
  ASSERT_EQ(first.code, 0) << first.out << first.err;
  EXPECT_THAT(first.out,
              AllOf(HasSubstr(lab.backend), HasSubstr(lab.emulator),
                    HasSubstr("instructions"), HasSubstr("legs (medians)")));
  const Json json = Json::parse(ReadFile(Path("json")));
  EXPECT_EQ(json["context"]["unit"], "instructions");
  EXPECT_EQ(json["context"]["backend"], lab.backend);
  // A tick is no time here.
  EXPECT_EQ(json["context"]["tsc_hz"], 0);
  EXPECT_THAT(ReadFile(Path("log")),
              AllOf(HasSubstr("@info emulator "), HasSubstr("tsc_invariant"),
                    Not(HasSubstr("tsc_hz"))));
  for (const char* name :
       {"user/pio_out/mode:ring0", "user/pio_in/mode:real",
        "user/mmio_write/mode:ring3", "user/hlt/mode:ring0",
        "user/irq_window/mode:ring0", "user/shutdown/mode:ring0",
        "irq/inject/mode:ring0", "irq/nmi/mode:real", "native/cpuid/mode:ring3",
        "native/hypercall/mode:ring0", "native/rdmsr/mode:ring0",
        "native/mov_cr0/mode:ring0", "native/pause/mode:ring0",
        "native/rdtsc/mode:ring0", "native/page_fault_4k/mode:ring0",
        "native/page_fault_2m/mode:ring0"}) {
    EXPECT_EQ(Verdict(json, name), "proven") << name;
  }
  EXPECT_EQ(Verdict(json, "control/empty/mode:ring0"), "no exit");
  // QEMU's XSETBV heeds no intercept.
  EXPECT_EQ(Verdict(json, "native/xsetbv/mode:ring0"),
            std::string(lab.emulator) == "QEMU" ? "unsupported" : "proven");

  const Outcome imported =
      program_.Run({"import", Path("log"), "--json", Path("imported")});
  EXPECT_EQ(imported.code, 0) << imported.err;
  EXPECT_EQ(imported.out, first.out);
  EXPECT_EQ(ReadFile(Path("imported")), ReadFile(Path("json")));

  const Outcome second = Lab(lab, {}, {"bench", "--raw", Path("raw2")});
  EXPECT_EQ(second.code, 0) << second.err;
  EXPECT_EQ(ReadFile(Path("raw2")), ReadFile(Path("raw")));
}

const NativeLab kLabs[] = {
    {"SvmQemu", {"svm_native"}, "svm_amd", "QEMU"},
    {"SvmBochs", {"svm_native", "--emulator", "bochs"}, "svm_amd", "Bochs"},
    {"VmxBochs", {"vmx_native"}, "vmx_intel", "Bochs"}};

INSTANTIATE_TEST_SUITE_P(Labs, EachNativeLabTest, ::testing::ValuesIn(kLabs),
                         [](const ::testing::TestParamInfo<NativeLab>& info) {
                           return info.param.name;
                         });

TEST_F(NativeLabTest, WhatCannotBeIsSaidBeforeAnythingBoots) {
  const struct {
    std::vector<std::string> words;
    const char* message;
  } kBad[] = {
      {{"svm_native", "--", "bench", "--scenario", "kernel/cpuid"},
       "rests on KVM"},
      {{"svm_native", "--", "bench", "--knob", "nothing=1"}, "nothing"},
      {{"svm_native", "--", "bench", "--cpu", "1"}, "--cpu"},
      {{"svm_native", "--", "bnech"}, "did you mean \"bench\""},
      {{"svm_native", "--mitigations", "on", "--", "bench"}, "has no kernel"},
      {{"vmx_native", "--emulator", "qemu", "--", "bench"},
       "QEMU emulates no VMX"},
      {{"kvm_amd", "--log", "x", "--", "bench"}, "--log"}};
  for (const auto& [words, message] : kBad) {
    std::vector<std::string> all = {"lab"};
    all.insert(all.end(), words.begin(), words.end());
    const Outcome outcome = program_.Run(all);
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(outcome.out, "");
  }
}

// Through KVM and in ring 0, on one emulated CPU: each step takes something.
TEST_F(NativeLabTest, KvmAndRing0SideBySide) {
  const std::vector<std::string> counts = {
      "--mode", "ring0", "--samples", "50", "--repetitions", "1"};
  std::vector<std::string> kvm = {
      "lab",        "kvm_amd",      "--",         "bench",
      "--scenario", "kernel/cpuid", "--scenario", "kernel/pio_out",
      "--scenario", "user/pio_out", "--json",     Path("kvm")};
  std::vector<std::string> native = {
      "lab",          "svm_native", "--",           "bench",  "--scenario",
      "native/cpuid", "--scenario", "user/pio_out", "--json", Path("native")};
  for (std::vector<std::string>* words : {&kvm, &native}) {
    words->insert(words->end(), counts.begin(), counts.end());
    const Outcome outcome = program_.Run(*words);
    if (outcome.code == kNoLabHere) GTEST_SKIP() << outcome.err;
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  const Outcome table =
      ChildProgram(EXIT_PATH_TABLE, folder_)
          .Run({"--side-by-side", Path("kvm"), Path("native")});
  ASSERT_EQ(table.code, 0) << table.err;
  int through = 0;
  int kernel = 0;
  int user = 0;
  const std::size_t cpuid = table.out.find("| CPUID |");
  ASSERT_NE(cpuid, std::string::npos) << table.out;
  ASSERT_EQ(std::sscanf(&table.out[cpuid], "| CPUID | %d | %d | -", &through,
                        &kernel),
            2)
      << table.out;
  EXPECT_GT(through, 0);
  EXPECT_GT(kernel, 0);
  const std::size_t out = table.out.find("| OUT |");
  ASSERT_NE(out, std::string::npos) << table.out;
  ASSERT_EQ(std::sscanf(&table.out[out], "| OUT | %d | %d | %d", &through,
                        &kernel, &user),
            3)
      << table.out;
  EXPECT_GT(through, 0);
  EXPECT_GT(kernel, 0);
  EXPECT_GT(user, 0);
}

// Without /dev/kvm `bench` shows a working world switch all the same.
TEST_F(NativeLabTest, BenchWithoutKvmRunsTheNativeLab) {
  const Outcome outcome =
      program_.Run({"bench", "--json", Path("json")}, HideDevKvm);
  if (outcome.code == kCannotHide) GTEST_SKIP() << outcome.err;
  if (NotInstalled(outcome)) GTEST_SKIP() << outcome.err;
  ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("/dev/kvm is not KVM here"),
                                 HasSubstr("the lab svm_native instead")));
  EXPECT_THAT(outcome.out, HasSubstr("engine svm_native"));
  EXPECT_EQ(
      Verdict(Json::parse(ReadFile(Path("json"))), "user/pio_out/mode:ring0"),
      "proven");
}

}  // namespace
}  // namespace worldswitch
