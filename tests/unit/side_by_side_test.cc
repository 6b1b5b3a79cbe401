// The table that sets what KVM adds beside what the switch takes.

#include "lab/side_by_side.h"

#include <string>
#include <utility>
#include <vector>

#include "bench/scenario.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace worldswitch {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::ordered_json;

struct Figure {
  std::string scenario;
  double net;
  std::string verdict = "proven";
  std::string mode = "ring0";
};

std::string ResultOf(const std::string& engine, const std::string& model,
                     const std::vector<Figure>& figures) {
  Json json;
  json["context"] = {{"unit", "instructions"},
                     {"engine", engine},
                     {"fingerprint",
                      {{"lab.emulator", "Bochs 2.7"},
                       {"lab.cpu_model", model},
                       {"lab.kernel", "linux-image-6.1"}}}};
  json["worldswitch"]["rows"] = Json::array();
  for (const Figure& figure : figures) {
    json["worldswitch"]["rows"].push_back(
        {{"name", figure.scenario + "/mode:" + figure.mode},
         {"scenario", figure.scenario},
         {"verdict", figure.verdict},
         {"net_instructions", figure.net}});
  }
  return json.dump();
}

const std::vector<Figure> kNative = {{"native/cpuid", 100},
                                     {"user/pio_out", 120},
                                     {"user/hlt", 90},
                                     {"native/wbinvd", 95}};
const std::vector<Figure> kKvm = {{"kernel/cpuid", 1100},
                                  {"kernel/pio_out", 1620},
                                  {"user/pio_out", 3120},
                                  {"user/hlt", 2590},
                                  {"kernel/wbinvd", 700, "no exit"}};

TEST(SideBySideTest, EachPartIsWhatComesOnTop) {
  const absl::StatusOr<std::string> table =
      SideBySide({ResultOf("kvm_amd", "ryzen", kKvm),
                  ResultOf("svm_native", "ryzen", kNative)});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(
      *table,
      AllOf(HasSubstr("1. Bochs 2.7, CPU model ryzen: svm_native, and kvm_amd "
                      "of linux-image-6.1\n"),
            HasSubstr("| CPUID | 100 | 1000 | - |\n"),
            HasSubstr("| OUT | 120 | 1500 | 1500 |\n"),
            HasSubstr("| HLT | 90 | - | +2500 |\n"),
            // Unproven, so nothing to set beside it; and never measured.
            Not(HasSubstr("WBINVD")), Not(HasSubstr("RDMSR"))));
}

TEST(SideBySideTest, OnlyRing0IsCompared) {
  const absl::StatusOr<std::string> table = SideBySide(
      {ResultOf("kvm_amd", "ryzen", {{"kernel/cpuid", 5, "proven", "ring3"}}),
       ResultOf("svm_native", "ryzen", kNative)});
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_THAT(*table, Not(HasSubstr("CPUID")));
}

TEST(SideBySideTest, APairIsOfOneCpuAndInThatOrder) {
  const std::string kvm = ResultOf("kvm_amd", "ryzen", kKvm);
  const std::string native = ResultOf("svm_native", "ryzen", kNative);
  const std::string other = ResultOf("vmx_native", "haswell", kNative);
  const std::pair<std::vector<std::string>, const char*> kBad[] = {
      {{}, "pairs"},
      {{kvm}, "pairs"},
      {{native, kvm}, "one through KVM, then a native one"},
      {{kvm, other}, "not of the same CPU"},
      {{kvm, "{}"}, "result 2 is not one that counts"},
      {{"not json", native}, "result 1 is not one that counts"}};
  for (const auto& [results, message] : kBad) {
    const absl::StatusOr<std::string> table = SideBySide(results);
    EXPECT_TRUE(absl::IsInvalidArgument(table.status())) << message;
    EXPECT_THAT(std::string(table.status().message()), HasSubstr(message));
  }
}

// A renamed scenario must not silently empty a cell.
TEST(SideBySideTest, EveryComparedScenarioExistsInRing0) {
  for (const ComparedExit& exit : ComparedExits()) {
    for (const char* name : {exit.native, exit.kernel, exit.user}) {
      if (*name == '\0') continue;
      bool found = false;
      for (const Scenario& scenario : AllScenarios()) {
        found = found || (std::string(name) == scenario.name &&
                          WhyNotInMode(scenario, GuestMode::kRing0) == nullptr);
      }
      EXPECT_TRUE(found) << exit.name << ": " << name;
    }
  }
}

}  // namespace
}  // namespace worldswitch
