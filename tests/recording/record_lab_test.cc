// Recorded in the labs, on the vendors' backends built as plugins, under the
// recorder, a plugin too; replayed here: a run on one machine is a test on
// another.

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "backends/scripted/recording.h"
#include "backends/scripted/replay_backend.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/plugins/plugin_folder.h"
#include "tests/recording/session.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

constexpr int kNoLabHere = 3;
constexpr int kRounds = 12;  // as record_session has it

struct Lab {
  const char* engine;
  const char* backend;
};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class RecordLabTest : public ::testing::TestWithParam<Lab> {
 protected:
  // Runs `worldswitch lab ENGINE -- command...` in the folder; its output is in
  // the files "out" and "err".
  int Run(const std::vector<std::string>& command) const {
    std::vector<std::string> words = {WORLDSWITCH_COMMAND, "lab",
                                      GetParam().engine, "--"};
    words.insert(words.end(), command.begin(), command.end());
    std::vector<char*> pointers;
    pointers.reserve(words.size() + 1);
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      if (chdir(folder_.path().c_str()) != 0 ||
          freopen("out", "w", stdout) == nullptr ||
          freopen("err", "w", stderr) == nullptr) {
        _exit(127);
      }
      execv(pointers[0], pointers.data());
      _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  PluginFolder folder_;
};

TEST_P(RecordLabTest, ReplayIsTheSameEventForEvent) {
  const Lab& lab = GetParam();
  folder_.AddOwn("recorder");
  folder_.AddOwn(lab.backend);
  const int code =
      Run({"record_session", "./recorder.so",
           std::string("./") + lab.backend + ".so", "--out", "run.wsr"});
  const std::string errors = ReadFile(folder_.Path("err"));
  if (code == kNoLabHere) GTEST_SKIP() << errors;
  ASSERT_EQ(code, 0) << errors;
  const std::string recorded = ReadFile(folder_.Path("out"));
  for (const char* seen : {"run Io", "run Mmio", "run Hlt", "run IrqWindow",
                           "irq 64 0", "irq 64 1", "nmi 2 0"}) {
    EXPECT_THAT(recorded, HasSubstr(seen));
  }
  absl::StatusOr<Recording> recording = ReadRecording(folder_.Path("run.wsr"));
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_EQ(recording->backend, lab.backend);
  EXPECT_EQ(recording->engine, lab.engine);
  absl::StatusOr<Session> replayed =
      RunSession(*MakeReplayBackend(*std::move(recording)), kRounds);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  EXPECT_EQ(replayed->trace + "ending: " + replayed->ending + "\n", recorded);
}

// Bochs first: it takes longer, and two tests run at once.
INSTANTIATE_TEST_SUITE_P(Labs, RecordLabTest,
                         ::testing::Values(Lab{"kvm_intel", "vmx_intel_plugin"},
                                           Lab{"kvm_amd", "svm_amd_plugin"}),
                         [](const ::testing::TestParamInfo<Lab>& each) {
                           return std::string(each.param.engine);
                         });

}  // namespace
}  // namespace worldswitch
