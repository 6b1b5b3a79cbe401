// Every backend of ours, built as a plugin, keeps every clause that it keeps as
// a built-in one: the same checks as conformance_test's, in one run a plugin.

#include <memory>
#include <string>

#include "conformance/clauses.h"
#include "conformance/hosted_clause_host.h"
#include "core/host/plugin_catalogue.h"
#include "gtest/gtest.h"
#include "tests/plugins/plugin_folder.h"

namespace worldswitch {
namespace {

class PluginConformanceTest : public ::testing::TestWithParam<const char*> {
 protected:
  PluginConformanceTest() {
    registry_.SetSource(std::make_unique<PluginCatalogue>(
        PluginCatalogue::Options{.places = {}}));
  }

  PluginFolder folder_;
  BackendRegistry registry_;
};

TEST_P(PluginConformanceTest, KeepsEveryClause) {
  const std::string path = folder_.AddOwn(GetParam());
  absl::StatusOr<const BackendFactory*> factory = registry_.Find(path);
  ASSERT_TRUE(factory.ok()) << factory.status();
  if (const absl::Status usable = (*factory)->probe(); !usable.ok()) {
    GTEST_SKIP() << usable;
  }
  absl::StatusOr<BackendRegistry::Opened> opened = registry_.Open(path);
  ASSERT_TRUE(opened.ok()) << opened.status();
  HostedClauseHost host(*opened->backend);
  int passed = 0;
  for (const Clause& clause : AllClauses()) {
    for (int i = 0; i < kGuestModeCount; ++i) {
      const auto mode = static_cast<GuestMode>(i);
      if ((clause.modes & ModeBit(mode)) == 0) continue;
      const ClauseOutcome outcome = RunClause(clause, host, mode);
      EXPECT_NE(outcome.verdict, ClauseVerdict::kFailed)
          << clause.id << " " << clause.part << ", mode " << GuestModeName(mode)
          << ": " << outcome.text.c_str();
      if (outcome.verdict == ClauseVerdict::kPassed) ++passed;
    }
  }
  EXPECT_GT(passed, 100);
}

INSTANTIATE_TEST_SUITE_P(All, PluginConformanceTest,
                         ::testing::Values("kvm_plugin", "vmx_intel_plugin",
                                           "svm_amd_plugin"),
                         [](const ::testing::TestParamInfo<const char*>& each) {
                           return std::string(each.param);
                         });

// A script is no guest; RUN.6 is the clause that only a script can show.
TEST_F(PluginConformanceTest, AScriptHandsOutAnUnknownExit) {
  const std::string script =
      folder_.AddFile("script", "unknown raw=0x5eed\nhlt\n");
  absl::StatusOr<BackendRegistry::Opened> opened =
      registry_.Open(folder_.AddOwn("scripted_plugin") + ":script=" + script);
  ASSERT_TRUE(opened.ok()) << opened.status();
  auto vm = opened->backend->CreateVm({});
  ASSERT_TRUE(vm.ok()) << vm.status();
  const Exit exit = (*vm)->vcpu(0).run();
  EXPECT_EQ(exit.reason, ExitReason::kUnknown);
  EXPECT_EQ(exit.raw, 0x5eedu);
  EXPECT_EQ((*vm)->vcpu(0).run().reason, ExitReason::kHlt);
}

}  // namespace
}  // namespace worldswitch
