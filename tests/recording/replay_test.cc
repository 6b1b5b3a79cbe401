// What was recorded on a machine is played again without it: the loop, the
// handler and the backend do the same, event for event.

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "backends/kvm/kvm_backend.h"
#include "backends/scripted/recording.h"
#include "backends/scripted/scripted_backend.h"
#include "core/host/plugin_catalogue.h"
#include "core/recording_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/plugins/plugin_folder.h"
#include "tests/recording/session.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

constexpr int kRounds = 60;

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() {
    EXPECT_TRUE(registry_.Add(KvmBackendFactory()).ok());
    EXPECT_TRUE(registry_.Add(ScriptedBackendFactory()).ok());
    registry_.SetSource(std::make_unique<PluginCatalogue>(
        PluginCatalogue::Options{.places = {{.path = folder_.path()}}}));
    // The recorder of this build, or one that was built elsewhere.
    const char* const other = std::getenv("WORLDSWITCH_TEST_RECORDER");
    other == nullptr ? folder_.AddOwn("recorder") : folder_.Copy(other);
  }

  absl::StatusOr<Session> Run(const std::string& backend, int rounds = kRounds,
                              bool other_data = false) {
    absl::StatusOr<BackendRegistry::Opened> opened = registry_.Open(backend);
    if (!opened.ok()) return opened.status();
    return RunSession(*opened->backend, rounds, other_data);
  }

  // A script that the session can be run against where there is no machine.
  std::string Script() const {
    // The session posts an interrupt at the first HLT; the second exits with
    // its delivery interrupted.
    std::string text = "hlt\n";
    for (int round = 1; round <= kRounds + 1; ++round) {
      absl::StrAppend(
          &text,
          "out port=0x80 size=1 data=41 length=2\n"
          "in port=0x81 size=1 length=2\n"
          "in port=0x83 size=4 length=2\n"
          "mmio_write gpa=0xd0010 data=7f\nmmio_read gpa=0xd0011 size=1\n"
          "out port=0x84 size=1 data=aa\n"
          "interrupts on\nhlt raw=5 undelivered=1\ninterrupts off\n"
          "out port=0x85 size=1 data=99\nhypercall number=7 arguments=1,2\n");
    }
    // The session ends at what it does not know.
    return folder_.AddFile("script", text);
  }

  PluginFolder folder_;
  BackendRegistry registry_;
};

class ReplayOnKvmTest : public ReplayTest {
 protected:
  void SetUp() override {
    if (const absl::Status usable = ProbeKvm(); !usable.ok()) {
      GTEST_SKIP() << usable;
    }
  }
};

TEST_F(ReplayOnKvmTest, ReplayIsTheSameEventForEvent) {
  const std::string file = folder_.Path("run.wsr");
  absl::StatusOr<Session> recorded = Run("recorder:backend=kvm,file=" + file);
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  ASSERT_THAT(recorded->ending, HasSubstr("out port 0x80"));
  for (const char* seen :
       {"run Io", "run Mmio", "run Hlt", "run IrqWindow", "run Interrupted",
        "irq 64 0", "irq 64 1", "nmi 2 0", "irq_window 1", "commit 0",
        "fetch 2 0", "detail 0"}) {
    EXPECT_THAT(recorded->trace, HasSubstr(seen));
  }
  absl::StatusOr<Session> replayed = Run("scripted:recording=" + file);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  EXPECT_EQ(replayed->trace, recorded->trace);
  EXPECT_EQ(replayed->ending, recorded->ending);
}

// The recorder around the replay writes the same events again.
TEST_F(ReplayOnKvmTest, ARecordingOfTheReplayIsTheSameBytes) {
  const std::string first = folder_.Path("first.wsr");
  const std::string second = folder_.Path("second.wsr");
  ASSERT_TRUE(Run("recorder:backend=kvm,file=" + first).ok());
  ASSERT_TRUE(
      Run("recorder:backend=scripted:recording=" + first + ",file=" + second)
          .ok());
  absl::StatusOr<Recording> a = ReadRecording(first);
  absl::StatusOr<Recording> b = ReadRecording(second);
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  ASSERT_EQ(a->vms.size(), 1u);
  ASSERT_EQ(b->vms.size(), 1u);
  EXPECT_GT(a->vms[0].vcpus[0].events, 1000u);
  EXPECT_EQ(a->vms[0].vcpus[0].bytes, b->vms[0].vcpus[0].bytes);
  EXPECT_EQ(a->backend, "kvm");
  EXPECT_NE(a->engine, "");
  EXPECT_EQ(b->backend, "scripted");
  EXPECT_EQ(a->flags, kRecordingClosed);
}

TEST_F(ReplayOnKvmTest, AHandlerThatDoesOtherwiseIsToldWhereAndHow) {
  const std::string file = folder_.Path("run.wsr");
  ASSERT_TRUE(Run("recorder:backend=kvm,file=" + file).ok());
  absl::StatusOr<Session> replayed =
      Run("scripted:recording=" + file, kRounds, true);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  EXPECT_THAT(replayed->ending,
              HasSubstr("vCPU 0: the replay diverged at event "));
  // Round 2 gives ~0x11223302 to the IN of a byte.
  EXPECT_THAT(replayed->ending,
              HasSubstr("there was the data fd for the exit before where the "
                        "recording has the data 02 for the exit before"));
}

TEST_F(ReplayOnKvmTest, RecordsThePluginOfAnotherBackend) {
  folder_.AddOwn("kvm_plugin");
  const std::string file = folder_.Path("run.wsr");
  absl::StatusOr<Session> recorded =
      Run("recorder:backend=kvm_plugin:device=/dev/kvm;kick_signal=40,file=" +
          file);
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  absl::StatusOr<Session> replayed = Run("scripted:recording=" + file);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  EXPECT_EQ(replayed->trace, recorded->trace);
  EXPECT_EQ(ReadRecording(file)->backend, "kvm_plugin");
}

// From here on no machine is needed: a script is recorded.

TEST_F(ReplayTest, AScriptRecordedAndReplayed) {
  const std::string file = folder_.Path("run.wsr");
  absl::StatusOr<Session> recorded =
      Run("recorder:backend=scripted:script=" + Script() + ",file=" + file);
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  EXPECT_THAT(recorded->ending, HasSubstr("Hypercall"));
  EXPECT_THAT(recorded->trace,
              HasSubstr("run Hlt raw 5 for the backend\nhandle_exit 1\n"));
  absl::StatusOr<Session> replayed = Run("scripted:recording=" + file);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  EXPECT_EQ(replayed->trace, recorded->trace);
  EXPECT_EQ(replayed->ending, recorded->ending);
}

TEST_F(ReplayTest, TheLimitBoundsTheFileAndTheGuestRunsOn) {
  const std::string script = folder_.AddFile("ticks", "hlt times=5000\n");
  const std::string file = folder_.Path("run.wsr");
  absl::StatusOr<Session> recorded =
      Run("recorder:backend=scripted:script=" + script + ",file=" + file +
          ",limit=100");
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  // Every HLT but those of posted interrupts reached the session.
  EXPECT_GT(recorded->trace.size(), 50'000u);
  EXPECT_LT(std::filesystem::file_size(file), 4096u);
  absl::StatusOr<Recording> recording = ReadRecording(file);
  ASSERT_TRUE(recording.ok()) << recording.status();
  EXPECT_EQ(recording->flags, kRecordingClosed | kRecordingLimited);
  EXPECT_EQ(recording->vms[0].vcpus[0].events, 100u);
  absl::StatusOr<Session> replayed = Run("scripted:recording=" + file);
  ASSERT_TRUE(replayed.ok()) << replayed.status();
  // Ends as a script does.
  EXPECT_THAT(replayed->ending, HasSubstr("Error raw 454e444f46534352"));
  const std::size_t end = replayed->trace.rfind("run Error");
  ASSERT_NE(end, std::string::npos);
  EXPECT_EQ(replayed->trace.substr(0, end / 2),
            recorded->trace.substr(0, end / 2));
}

TEST_F(ReplayTest, BadParametersAndFilesAreRefused) {
  const auto refusal = [this](const std::string& backend) {
    return std::string(registry_.Open(backend).status().message());
  };
  EXPECT_THAT(refusal("recorder"), HasSubstr("recorder:backend=kvm,file=FILE"));
  EXPECT_THAT(refusal("recorder:file=x,limit=0"), HasSubstr("limit=0"));
  EXPECT_THAT(refusal("recorder:file=x,limit=-1"), HasSubstr("limit=-1"));
  EXPECT_THAT(refusal("recorder:backend=nobody,file=x"), HasSubstr("nobody"));
  EXPECT_THAT(refusal("recorder:backend=scripted:script=" + Script() +
                      ",file=" + folder_.Path("no/such")),
              HasSubstr("ENOENT"));
  EXPECT_THAT(refusal("recorder:colour=red"), HasSubstr("colour"));
  EXPECT_THAT(refusal("scripted:recording=" + folder_.Path("none")),
              HasSubstr("ENOENT"));
  EXPECT_THAT(refusal("scripted:recording=" + folder_.AddFile("text", "text")),
              HasSubstr("it is no recording"));
  EXPECT_THAT(refusal("scripted:recording=a,script=b"),
              HasSubstr("or there are two"));
}

// Every byte of a recording changed, and every length of it: read or refused,
// never anything else.
TEST_F(ReplayTest, ADamagedRecordingIsReadOrRefused) {
  const std::string script = folder_.AddFile(
      "short",
      "out port=0x80 size=1 data=41\nin port=0x81 size=1\n"
      "mmio_read gpa=0xd0011 size=4\nhypercall number=7 arguments=1,2\n");
  const std::string file = folder_.Path("run.wsr");
  ASSERT_TRUE(
      Run("recorder:backend=scripted:script=" + script + ",file=" + file).ok());
  const std::string good = ReadAll(file);
  ASSERT_TRUE(ParseRecording(good).ok());
  int refused = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const int value : {0, 1, 0x7f, 0xff}) {
      std::string bad = good;
      bad[i] = static_cast<char>(value);
      if (!ParseRecording(bad).ok()) ++refused;
    }
    if (!ParseRecording(good.substr(0, i)).ok()) ++refused;
  }
  EXPECT_GT(refused, 500);
}

TEST_F(ReplayTest, AReplayHasTheRecordingsVmsAndNoMore) {
  const std::string file = folder_.Path("run.wsr");
  ASSERT_TRUE(
      Run("recorder:backend=scripted:script=" + Script() + ",file=" + file)
          .ok());
  absl::StatusOr<BackendRegistry::Opened> opened =
      registry_.Open("scripted:recording=" + file);
  ASSERT_TRUE(opened.ok()) << opened.status();
  VmConfig config;
  config.needs.vcpus = 2;
  EXPECT_EQ(opened->backend->CreateVm(config).status().code(),
            absl::StatusCode::kFailedPrecondition);
  config.needs = {.memory_bytes = 4096, .vcpus = 1};
  EXPECT_TRUE(opened->backend->CreateVm(config).ok());
  EXPECT_EQ(opened->backend->CreateVm(config).status().code(),
            absl::StatusCode::kOutOfRange);
}

}  // namespace
}  // namespace worldswitch
