// What is changed on the host is put back on every way out. Plain files stand
// in for those of sysfs.

#include "core/host/host_settings.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

class HostSettingsTest : public ::testing::Test {
 protected:
  HostSettingsTest() {
    std::string pattern = ::testing::TempDir() + "host_settings_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    Put("npt", "Y\n");
    Put("halt_poll_ns", "200000\n");
  }
  ~HostSettingsTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const {
    return folder_ + "/" + name;
  }
  void Put(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
  }
  std::string Get(const std::string& name) const {
    std::ifstream file(Path(name));
    std::string word;
    file >> word;
    return word;
  }
  std::vector<HostSetting> Both() const {
    return {{"kvm_amd.npt", Path("npt"), "0"},
            {"kvm.halt_poll_ns", Path("halt_poll_ns"), "7"}};
  }
  // Until the value is there, or some seconds are over.
  bool Becomes(const std::string& name, const std::string& value) const {
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (Get(name) != value) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

  // In a process of its own: applies both settings, tells, and does `then`.
  pid_t Child(const std::function<void()>& then) const {
    const pid_t child = fork();
    if (child != 0) return child;
    absl::StatusOr<HostSettings> settings = HostSettings::Apply(Both());
    if (!settings.ok()) _exit(1);
    then();
    _exit(0);
  }

  std::string folder_;
};

TEST_F(HostSettingsTest, ChangedAndPutBack) {
  absl::StatusOr<HostSettings> settings = HostSettings::Apply(Both());
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(Get("npt"), "0");
  EXPECT_EQ(Get("halt_poll_ns"), "7");
  EXPECT_TRUE(settings->Restore().ok());
  EXPECT_EQ(Get("npt"), "Y");
  EXPECT_EQ(Get("halt_poll_ns"), "200000");
  Put("npt", "N");
  EXPECT_TRUE(settings->Restore().ok()) << "the second time does nothing";
  EXPECT_EQ(Get("npt"), "N");
}

TEST_F(HostSettingsTest, TheEndOfTheScopePutsBack) {
  {
    absl::StatusOr<HostSettings> settings = HostSettings::Apply(Both());
    ASSERT_TRUE(settings.ok());
    const HostSettings moved = *std::move(settings);
    EXPECT_EQ(Get("npt"), "0");
  }
  EXPECT_EQ(Get("npt"), "Y");
  EXPECT_EQ(Get("halt_poll_ns"), "200000");
}

TEST_F(HostSettingsTest, AProcessThatIsKilledLeavesNothingBehind) {
  for (const int signal : {SIGKILL, SIGSEGV, SIGINT}) {
    const pid_t child = Child([] { pause(); });
    ASSERT_TRUE(Becomes("halt_poll_ns", "7"));
    kill(child, signal);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    EXPECT_TRUE(Becomes("npt", "Y")) << strsignal(signal);
    EXPECT_TRUE(Becomes("halt_poll_ns", "200000")) << strsignal(signal);
  }
}

TEST_F(HostSettingsTest, ExitInTheMiddlePutsBack) {
  const pid_t child = Child([] { _exit(3); });
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(Becomes("npt", "Y"));
  EXPECT_TRUE(Becomes("halt_poll_ns", "200000"));
}

TEST_F(HostSettingsTest, WhatCannotBeSetLeavesAllAsItWas) {
  std::vector<HostSetting> wanted = Both();
  wanted.push_back({"kvm.gone", Path("gone"), "1"});
  absl::StatusOr<HostSettings> settings = HostSettings::Apply(wanted);
  ASSERT_FALSE(settings.ok());
  EXPECT_THAT(settings.status().message(), HasSubstr("ENOENT"));
  EXPECT_EQ(Get("npt"), "Y");

  wanted.back() = {"kvm.full", "/dev/full", "1"};
  settings = HostSettings::Apply(wanted);
  ASSERT_FALSE(settings.ok());
  EXPECT_THAT(settings.status().message(), HasSubstr("kvm.full"));
  EXPECT_THAT(settings.status().message(), HasSubstr("ENOSPC"));
  EXPECT_EQ(Get("npt"), "Y");
  EXPECT_EQ(Get("halt_poll_ns"), "200000");
}

TEST_F(HostSettingsTest, WhatDoesNotTakeIsAnError) {
  absl::StatusOr<HostSettings> settings =
      HostSettings::Apply({{"kvm.null", "/dev/null", "1"}});
  ASSERT_FALSE(settings.ok());
  EXPECT_THAT(settings.status().message(), HasSubstr("did not take 1"));
}

TEST_F(HostSettingsTest, NothingToChangeStartsNothing) {
  EXPECT_TRUE(HostSettings::Apply({}).ok());
}

TEST_F(HostSettingsTest, OnlyHostScopeIsChosenAmongSettings) {
  Knob host;
  host.name = "kvm_amd.npt";
  host.scope = KnobScope::kHost;
  host.file = Path("npt");
  Knob vm;
  vm.name = "pit";
  const KnobSet knobs({host, vm});
  const std::vector<HostSetting> chosen =
      HostSettingsAmong(knobs, {{"kvm_amd.npt", "off"}, {"pit", "on"}});
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(chosen[0].file, Path("npt"));
  EXPECT_EQ(chosen[0].value, "0");
}

}  // namespace
}  // namespace worldswitch
