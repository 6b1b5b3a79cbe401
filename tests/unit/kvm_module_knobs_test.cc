// Module parameters as knobs, from made-up trees of /sys.

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "backends/kvm/module_knobs.h"
#include "backends/kvm/module_parameter_table.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ModuleKnobsTest : public ::testing::Test {
 protected:
  ModuleKnobsTest() {
    std::string pattern = ::testing::TempDir() + "module_knobs_XXXXXX";
    sysfs_ = mkdtemp(pattern.data());
  }
  ~ModuleKnobsTest() override { fs::remove_all(sysfs_); }

  void Add(const std::string& module, const std::string& name,
           const std::string& value, mode_t mode) {
    const std::string folder = sysfs_ + "/module/" + module;
    fs::create_directories(folder + "/parameters");
    const std::string file = folder + "/parameters/" + name;
    std::ofstream(file) << value << "\n";
    chmod(file.c_str(), mode);
  }
  void MakeLoadable(const std::string& module) {
    std::ofstream(sysfs_ + "/module/" + module + "/initstate") << "live\n";
  }
  KnobSet Knobs(const std::string& module) {
    return KnobSet(ModuleKnobs(sysfs_, module));
  }

  std::string sysfs_;
};

TEST_F(ModuleKnobsTest, NoModuleNoKnobs) {
  EXPECT_TRUE(Knobs("kvm_amd").all().empty());
}

TEST_F(ModuleKnobsTest, AWritableParameterIsSettable) {
  Add("kvm", "halt_poll_ns", "200000", 0644);
  const KnobSet knobs = Knobs("kvm");
  const Knob* knob = knobs.Find("kvm.halt_poll_ns");
  ASSERT_NE(knob, nullptr);
  EXPECT_EQ(knob->scope, KnobScope::kHost);
  EXPECT_EQ(knob->type, KnobType::kInteger);
  EXPECT_EQ(knob->current_value, "200000");
  EXPECT_EQ(knob->unit, "ns");
  EXPECT_EQ(knob->not_settable, "");
  EXPECT_EQ(knob->file, sysfs_ + "/module/kvm/parameters/halt_poll_ns");
  EXPECT_TRUE(knobs.Check({{"kvm.halt_poll_ns", "0"}}).ok());
  EXPECT_FALSE(knobs.Check({{"kvm.halt_poll_ns", "soon"}}).ok());
}

TEST_F(ModuleKnobsTest, WhereOnlyAReloadWouldDoTheCommandIsSaid) {
  Add("kvm_amd", "npt", "Y", 0444);
  Add("kvm", "tdp_mmu", "N", 0444);
  MakeLoadable("kvm_amd");
  MakeLoadable("kvm");
  const KnobSet amd = Knobs("kvm_amd");
  const Knob* npt = amd.Find("kvm_amd.npt");
  ASSERT_NE(npt, nullptr);
  EXPECT_EQ(npt->type, KnobType::kBool);
  EXPECT_EQ(npt->current_value, "on");
  EXPECT_THAT(npt->not_settable,
              HasSubstr("modprobe -r kvm_amd && modprobe kvm_amd npt=VALUE"));
  EXPECT_THAT(amd.Check({{"kvm_amd.npt", "off"}}).message(),
              HasSubstr("modprobe"));
  const KnobSet kvm = Knobs("kvm");
  EXPECT_THAT(kvm.Find("kvm.tdp_mmu")->not_settable,
              HasSubstr("modprobe -r kvm_amd kvm && modprobe kvm "
                        "tdp_mmu=VALUE && modprobe kvm_amd"));
  EXPECT_EQ(kvm.Find("kvm.tdp_mmu")->current_value, "off");
}

TEST_F(ModuleKnobsTest, BuiltInItIsTheKernelsCommandLine) {
  Add("kvm_intel", "ept", "Y", 0444);
  EXPECT_THAT(Knobs("kvm_intel").Find("kvm_intel.ept")->not_settable,
              HasSubstr("boot with kvm_intel.ept=VALUE"));
}

TEST_F(ModuleKnobsTest, WordsAndTheUnknown) {
  Add("kvm_intel", "vmentry_l1d_flush", "cond", 0644);
  Add("kvm_intel", "of_tomorrow", "perhaps", 0644);
  const KnobSet knobs = Knobs("kvm_intel");
  const Knob* flush = knobs.Find("kvm_intel.vmentry_l1d_flush");
  EXPECT_EQ(flush->type, KnobType::kChoice);
  EXPECT_EQ(KnobRange(*flush), "auto, never, cond, always");
  EXPECT_THAT(knobs.Find("kvm_intel.of_tomorrow")->meaning,
              HasSubstr("not known"));
}

TEST(ModuleParameterTableTest, NoParameterStandsTwiceAndEachHasAMeaning) {
  std::set<std::string> seen;
  for (const ModuleParameterMeaning& each : ModuleParameterMeanings()) {
    EXPECT_TRUE(seen.insert(std::string(each.module) + "." + each.name).second)
        << each.name;
    EXPECT_STRNE(each.meaning, "") << each.name;
  }
  // The ones that an exit's path depends on most.
  for (const char* name : {"kvm_intel.ple_gap",
                           "kvm_intel.ple_window",
                           "kvm_intel.vpid",
                           "kvm_intel.ept",
                           "kvm_intel.eptad",
                           "kvm_intel.unrestricted_guest",
                           "kvm_intel.pml",
                           "kvm_intel.preemption_timer",
                           "kvm_intel.enable_apicv",
                           "kvm_intel.enable_ipiv",
                           "kvm_intel.fasteoi",
                           "kvm_intel.flexpriority",
                           "kvm_intel.nested",
                           "kvm_intel.vmentry_l1d_flush",
                           "kvm_amd.npt",
                           "kvm_amd.avic",
                           "kvm_amd.vgif",
                           "kvm_amd.vls",
                           "kvm_amd.nrips",
                           "kvm_amd.lbrv",
                           "kvm_amd.vnmi",
                           "kvm_amd.tsc_scaling",
                           "kvm_amd.pause_filter_thresh",
                           "kvm_amd.pause_filter_count",
                           "kvm.halt_poll_ns",
                           "kvm.nx_huge_pages",
                           "kvm.tdp_mmu"}) {
    EXPECT_EQ(seen.count(name), 1u) << name;
  }
}

}  // namespace
}  // namespace worldswitch
