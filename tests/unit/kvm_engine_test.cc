// The engine told from made-up trees of /sys.

#include "backends/kvm/kvm_engine.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace worldswitch {
namespace {

namespace fs = std::filesystem;

class KvmEngineTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "ws-engine-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    sysfs_ = pattern;
  }
  void TearDown() override { fs::remove_all(sysfs_); }

  void AddModule(const std::string& name, const std::string& state = "") {
    fs::create_directories(sysfs_ / "module" / name / "parameters");
    if (!state.empty()) {
      std::ofstream(sysfs_ / "module" / name / "initstate") << state << "\n";
    }
  }
  void SetParameter(const std::string& module, const std::string& name,
                    const std::string& value) {
    std::ofstream(sysfs_ / "module" / module / "parameters" / name) << value;
  }
  KvmEngine Identify() { return IdentifyKvmEngine(sysfs_.string()); }

  fs::path sysfs_;
};

TEST_F(KvmEngineTest, NoModuleIsUnknown) {
  EXPECT_EQ(Identify(), KvmEngine::kUnknown);
  AddModule("kvm");
  EXPECT_EQ(Identify(), KvmEngine::kUnknown) << "kvm alone is no engine";
}

TEST_F(KvmEngineTest, TheOneModuleThatIsThereIsTheEngine) {
  AddModule("kvm_pvm");
  EXPECT_EQ(Identify(), KvmEngine::kPvm);
  EXPECT_STREQ(KvmEngineName(Identify()), "kvm_pvm");
}

TEST_F(KvmEngineTest, ALoadedModuleCounts) {
  AddModule("kvm", "live");
  AddModule("kvm_intel", "live");
  EXPECT_EQ(Identify(), KvmEngine::kIntel);
}

TEST_F(KvmEngineTest, AModuleThatIsComingOrGoingDoesNot) {
  AddModule("kvm_intel", "going");
  EXPECT_EQ(Identify(), KvmEngine::kUnknown);
  AddModule("kvm_amd", "live");
  EXPECT_EQ(Identify(), KvmEngine::kAmd);
}

TEST_F(KvmEngineTest, TwoBuiltInEnginesAreNotGuessedApart) {
  AddModule("kvm_intel");
  AddModule("kvm_amd");
  EXPECT_EQ(Identify(), KvmEngine::kUnknown);
  EXPECT_STREQ(KvmEngineName(Identify()), "unknown");
}

TEST_F(KvmEngineTest, ModuleParametersAreSortedAndTrimmed) {
  AddModule("kvm_amd");
  SetParameter("kvm_amd", "npt", "Y\n");
  SetParameter("kvm_amd", "avic", "N\n");
  SetParameter("kvm_amd", "empty", "");
  const std::vector<Fact> parameters =
      ModuleParameters(sysfs_.string(), "kvm_amd");
  ASSERT_EQ(parameters.size(), 3u);
  EXPECT_EQ(parameters[0].name, "avic");
  EXPECT_EQ(parameters[0].value, "N");
  EXPECT_EQ(parameters[1].name, "empty");
  EXPECT_EQ(parameters[1].value, "");
  EXPECT_EQ(parameters[2].name, "npt");
  EXPECT_EQ(parameters[2].value, "Y");
  EXPECT_TRUE(ModuleParameters(sysfs_.string(), "kvm_intel").empty());
}

}  // namespace
}  // namespace worldswitch
