// The command with plugins: shown, taken by name and by path, refused with the
// right exit code.

#include <stdlib.h>

#include <string>
#include <vector>

#include "backends/kvm/kvm_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/plugins/plugin_folder.h"
#include "tests/system/child_program.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

class PluginCommandTest : public ::testing::Test {
 protected:
  PluginCommandTest() : program_(WORLDSWITCH_COMMAND, output_.path()) {}

  // With the folder in WORLDSWITCH_BACKEND_PATH.
  Outcome Run(const std::vector<std::string>& arguments) const {
    return program_.Run(arguments, [this] {
      setenv("WORLDSWITCH_BACKEND_PATH", folder_.path().c_str(), 1);
    });
  }
  // One backend as `worldswitch backends --json` has it; null if it has not.
  nlohmann::json Shown(const std::string& origin) const {
    const Outcome outcome = Run({"backends", "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const nlohmann::json json = nlohmann::json::parse(outcome.out);
    for (const nlohmann::json& each : json["backends"]) {
      if (each["origin"] == origin) return each;
    }
    return nullptr;
  }

  PluginFolder folder_;
  PluginFolder output_;
  ChildProgram program_;
};

TEST_F(PluginCommandTest, BackendsShowsEveryOneAndWhyNot) {
  const std::string good = folder_.AddBad("good");
  const std::string unusable = folder_.AddBad("unusable");
  const std::string wrong = folder_.AddBad("wrong_abi");
  const std::string crash = folder_.AddBad("probe_crashes");
  const std::string clash = folder_.AddBad("named_kvm");

  const Outcome built_in = Run({"backends", "--json"});
  const nlohmann::json all = nlohmann::json::parse(built_in.out)["backends"];
  const std::vector<std::string> names = {"vmx_intel", "svm_amd", "kvm",
                                          "scripted"};
  ASSERT_EQ(all.size(), names.size() + 5);
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(all[i]["name"], names[i]);
    EXPECT_EQ(all[i]["origin"], "built in");
    EXPECT_EQ(all[i]["built_in"], true);
    EXPECT_EQ(all[i]["refused"], false);
  }
  EXPECT_EQ(Shown(good)["usable"], true);
  EXPECT_EQ(Shown(good)["name"], "good");
  EXPECT_EQ(Shown(good)["parameters"]["colour"], "what it looks like");
  EXPECT_EQ(Shown(unusable)["usable"], false);
  EXPECT_EQ(Shown(unusable)["refused"], false);
  EXPECT_EQ(Shown(unusable)["why_not"], "there is no such machine here");
  for (const std::string& each : {wrong, crash, clash}) {
    EXPECT_EQ(Shown(each)["refused"], true) << each;
    EXPECT_NE(Shown(each)["why_not"], "") << each;
  }

  const Outcome text = Run({"backends"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("scripted: usable; built in"));
  EXPECT_THAT(text.out, HasSubstr("good: usable; " + good));
  EXPECT_THAT(text.out, HasSubstr("its ABI is version 99"));
}

TEST_F(PluginCommandTest, ExitCodesSayWhoseFaultItIs) {
  folder_.AddBad("twin_a");
  folder_.AddBad("twin_b");
  const std::string good = folder_.AddBad("good");
  const std::string wrong = folder_.AddBad("wrong_abi");
  const struct {
    std::string backend;
    int code;
    std::string named;
  } all[] = {
      {folder_.Path("none.so"), 2, "none.so"},
      {"./none.so", 2, "none.so"},
      {good + ":color=red", 2, "colour"},
      {"nobody", 2, "nobody"},
      {wrong, 3, "ABI"},
      {folder_.AddFile("text.so", "text"), 3, "not ELF"},
      {folder_.AddBad("probe_crashes"), 3, "probe_crashes"},
      {folder_.AddBad("named_kvm"), 3, "built with"},
      {"twin", 3, "two plugins name themselves"},
      {"open_throws", 3, "threw"},
  };
  folder_.AddBad("open_throws");
  for (const auto& each : all) {
    for (const char* verb : {"bench", "knobs", "probe"}) {
      const Outcome outcome = Run({verb, "--backend", each.backend});
      EXPECT_EQ(outcome.code, each.code) << verb << " " << each.backend;
      EXPECT_THAT(outcome.err, HasSubstr(each.named)) << verb;
      EXPECT_EQ(outcome.out, "") << verb << " " << each.backend;
    }
  }
}

TEST_F(PluginCommandTest, AScenarioThroughAPluginByNameAndByPath) {
  if (const absl::Status usable = ProbeKvm(); !usable.ok()) {
    GTEST_SKIP() << usable;
  }
  const std::string path = folder_.AddOwn("kvm_plugin");
  const std::string result = output_.Path("result.json");
  for (const std::string& backend : {std::string("kvm_plugin"), path}) {
    const Outcome outcome = Run(
        {"bench", "--backend", backend, "--scenario", "user/pio_out",
         "--scenario", "irq/inject", "--mode", "ring0", "--samples", "50",
         "--repetitions", "1", "--knob", "registers=ioctl", "--json", result});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const nlohmann::json json = nlohmann::json::parse(ReadFile(result));
    EXPECT_EQ(json["context"]["backend"], "kvm_plugin");
    for (const nlohmann::json& row : json["worldswitch"]["rows"]) {
      EXPECT_EQ(row["verdict"], "proven") << row["name"];
    }
    EXPECT_EQ(json["worldswitch"]["rows"].size(), 2u);
  }
  const Outcome knobs = Run({"knobs", "--backend", path});
  EXPECT_EQ(knobs.code, 0) << knobs.err;
  EXPECT_THAT(knobs.out, HasSubstr("backend kvm_plugin, engine kvm"));
  const Outcome probe = Run({"probe", "--backend", "kvm_plugin"});
  EXPECT_EQ(probe.code, 0) << probe.err;
  EXPECT_THAT(probe.out, HasSubstr("backend kvm_plugin: "));
  EXPECT_THAT(probe.out, HasSubstr("  from " + path));
}

}  // namespace
}  // namespace worldswitch
