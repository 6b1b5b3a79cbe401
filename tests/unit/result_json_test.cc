// The result file is Google Benchmark's format, and has every verdict.

#include "bench/result_json.h"

#include <algorithm>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace worldswitch {
namespace {

const Scenario& ScenarioNamed(const std::string& name) {
  for (const Scenario& scenario : AllScenarios()) {
    if (name == scenario.name) return scenario;
  }
  return *AllScenarios().begin();
}

Repetition TwoHundredSamples() {
  Repetition repetition;
  repetition.has_legs = true;
  for (int i = 0; i < 200; ++i) {
    const std::int64_t start = 1000 * i;
    repetition.samples.push_back({.g0 = start,
                                  .h1 = start + 100,
                                  .h2 = start + 110,
                                  .g3 = start + 260 + i % 2,
                                  .cpu = 1,
                                  .exits = 1,
                                  .interrupted = false});
    repetition.flags.push_back(0);
    repetition.control.push_back(20);
  }
  return repetition;
}

class ResultJsonTest : public ::testing::Test {
 protected:
  ResultJsonTest() {
    fingerprint_.tsc_hz = 2e9;  // half a nanosecond a tick
    fingerprint_.hash = "0123456789abcdef";
    fingerprint_.facts = {{"cpu.model_name", "Made Up"}};
    context_.backend = "kvm";
    context_.engine = "kvm_pvm";
    context_.unit = "ticks";
    context_.fingerprint = &fingerprint_;
    Row proven;
    proven.scenario = &ScenarioNamed("user/pio_out");
    proven.mode = GuestMode::kRing0;
    proven.verdict = Verdict::kProven;
    proven.evidence = "seen";
    proven.repetitions = {TwoHundredSamples(), TwoHundredSamples()};
    Row refused;
    refused.scenario = &ScenarioNamed("user/hlt");
    refused.mode = GuestMode::kRing3;
    refused.verdict = Verdict::kUnsupported;
    refused.why = "a reason";
    result_.rows = {proven, refused};
    result_.repetitions_done = 2;
  }

  nlohmann::json Parse() const {
    return nlohmann::json::parse(ResultJson(result_, context_));
  }

  Fingerprint fingerprint_;
  ResultContext context_;
  SessionResult result_;
};

TEST_F(ResultJsonTest, OneIterationObjectForEachRepetition) {
  const nlohmann::json json = Parse();
  ASSERT_EQ(json["benchmarks"].size(), 2u);
  const nlohmann::json& second = json["benchmarks"][1];
  EXPECT_EQ(second["name"], "user/pio_out/mode:ring0/backend:kvm");
  EXPECT_EQ(second["run_type"], "iteration");
  EXPECT_EQ(second["repetition_index"], 1);
  EXPECT_EQ(second["iterations"], 200);
  EXPECT_EQ(second["time_unit"], "ns");
  EXPECT_DOUBLE_EQ(second["real_time"], 130);  // 260 ticks
  EXPECT_EQ(second["p50_ticks"], 260);
  EXPECT_EQ(second["net_ticks"], 240);
  EXPECT_EQ(second["leg_exit_ticks"], 100);
  EXPECT_EQ(second["exits_per_iteration"], 1);
}

TEST_F(ResultJsonTest, PercentilesWithTooFewSamplesAreLeftOut) {
  const nlohmann::json row = Parse()["worldswitch"]["rows"][0];
  EXPECT_TRUE(row.contains("p90_ticks"));
  EXPECT_FALSE(row.contains("p99_ticks"));
  EXPECT_EQ(row["samples"], 400);
  EXPECT_EQ(row["histogram"],
            nlohmann::json::parse("[[260, 200], [261, 200]]"));
}

TEST_F(ResultJsonTest, RowsWithoutFiguresSayWhy) {
  const nlohmann::json row = Parse()["worldswitch"]["rows"][1];
  EXPECT_EQ(row["verdict"], "unsupported");
  EXPECT_EQ(row["why"], "a reason");
  EXPECT_FALSE(row.contains("p50_ticks"));
}

TEST_F(ResultJsonTest, TheContextNamesEngineUnitAndHost) {
  const nlohmann::json context = Parse()["context"];
  EXPECT_EQ(context["engine"], "kvm_pvm");
  EXPECT_EQ(context["unit"], "ticks");
  EXPECT_EQ(context["fingerprint_hash"], "0123456789abcdef");
  EXPECT_EQ(context["fingerprint"]["cpu.model_name"], "Made Up");
}

TEST_F(ResultJsonTest, InstructionsAreNeverTurnedIntoTime) {
  context_.unit = "instructions";
  const nlohmann::json json = Parse();
  EXPECT_EQ(json["benchmarks"][0]["real_time"], 260);
  EXPECT_EQ(json["benchmarks"][0]["p50_instructions"], 260);
  EXPECT_FALSE(json["benchmarks"][0].contains("p50_ticks"));
}

TEST_F(ResultJsonTest, RawCsvHasEverySample) {
  const std::string csv = RawCsv(result_);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 400);
  EXPECT_EQ(csv.rfind("row,repetition,index,g0,h1,h2,g3,cpu,exits,flags\n", 0),
            0u);
}

TEST_F(ResultJsonTest, InstructionsAreNoTime) {
  context_.unit = "instructions";
  fingerprint_.tsc_hz = 0;
  const auto json = nlohmann::json::parse(ResultJson(result_, context_));
  EXPECT_EQ(json["context"]["unit"], "instructions");
  EXPECT_EQ(json["context"]["mhz_per_cpu"], 0);
  const auto& entry = json["benchmarks"][0];
  EXPECT_EQ(entry["time_unit"], "instructions");
  EXPECT_EQ(entry["real_time"], entry["p50_instructions"]);
  EXPECT_EQ(entry.dump().find("_ns"), std::string::npos);
  EXPECT_EQ(json.dump().find("latency"), std::string::npos);
}

}  // namespace
}  // namespace worldswitch
