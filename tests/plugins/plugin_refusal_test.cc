// Plugins that are wrong: each is refused with the reason, and nothing else
// breaks.

#include <stdlib.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "backends/scripted/scripted_backend.h"
#include "core/host/plugin_catalogue.h"
#include "core/host/plugin_library.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/plugins/plugin_folder.h"

namespace worldswitch {
namespace {

using ::testing::HasSubstr;

constexpr std::chrono::milliseconds kLong(60'000);
constexpr std::chrono::milliseconds kShort(300);

class PluginRefusalTest : public ::testing::Test {
 protected:
  // A registry with the built-in `scripted` that looks into the folder alone.
  void MakeRegistry(std::chrono::milliseconds limit = kLong) {
    ASSERT_TRUE(registry_.Add(ScriptedBackendFactory()).ok());
    registry_.SetSource(
        std::make_unique<PluginCatalogue>(PluginCatalogue::Options{
            .places = {{.path = folder_.path()}}, .probe_limit = limit}));
  }

  // That the rest still does what it did.
  void ExpectAllElseWorks() {
    const std::string script = folder_.AddFile("script", "hlt\n");
    EXPECT_TRUE(registry_.Open("scripted:script=" + script).ok());
    absl::StatusOr<BackendRegistry::Opened> good =
        registry_.Open(folder_.AddBad("good"));
    ASSERT_TRUE(good.ok()) << good.status();
    EXPECT_EQ(good->backend->name(), "good");
  }

  PluginFolder folder_;
  BackendRegistry registry_;
};

struct Bad {
  const char* file;
  absl::StatusCode code;
  const char* reason;
};

class BadPluginTest : public PluginRefusalTest,
                      public ::testing::WithParamInterface<Bad> {};

TEST_P(BadPluginTest, IsRefusedWithTheReason) {
  const Bad& bad = GetParam();
  const std::string path = folder_.AddBad(bad.file);
  MakeRegistry(std::string(bad.file) == "probe_hangs" ? kShort : kLong);
  const absl::Status status = registry_.Open(path).status();
  EXPECT_EQ(status.code(), bad.code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(bad.reason));
  EXPECT_THAT(std::string(status.message()), HasSubstr(bad.file));
  ExpectAllElseWorks();
}

constexpr absl::StatusCode kBroken = absl::StatusCode::kAborted;
constexpr absl::StatusCode kRefused = absl::StatusCode::kFailedPrecondition;
constexpr absl::StatusCode kNonsense = absl::StatusCode::kInternal;

// Sanitizers catch the signal, and exit.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr char kCrash[] = "";
#else
constexpr char kCrash[] = "SIGSEGV (Segmentation fault)";
#endif

INSTANTIATE_TEST_SUITE_P(
    All, BadPluginTest,
    ::testing::Values(
        Bad{"no_note", kRefused, "has no note of Worldswitch"},
        Bad{"two_notes", kRefused, "has two notes"},
        Bad{"wrong_abi", kRefused, "its ABI is version 99, this program's is"},
        Bad{"wrong_size", kRefused, "its Exit has 8 bytes, this program's"},
        Bad{"wrong_name", kRefused, "its note names it \"/rong_name\""},
        Bad{"no_symbol", kRefused, "does not export"},
        Bad{"constructor_aborts", kBroken, "SIGABRT"},
        Bad{"entry_throws", kNonsense, "thrown by the entry point"},
        Bad{"no_table", kRefused, "gives no table"},
        Bad{"rubbish_table", kBroken, kCrash},
        Bad{"other_name", kRefused, "it is named \"another\""},
        Bad{"no_functions", kRefused, "no probe or no open"},
        Bad{"parameters_without_end", kRefused, "1000000000 parameters"},
        Bad{"probe_crashes", kBroken, kCrash},
        Bad{"probe_throws", kNonsense, "thrown by the probe"},
        Bad{"probe_hangs", kBroken, "did not answer within 300 ms"},
        Bad{"probe_exits", kBroken, "code 0 and without an answer"},
        Bad{"probe_answers_rubbish", kNonsense, "4711"},
        Bad{"open_throws", kNonsense, "opening it threw an exception"},
        Bad{"opens_nothing", kNonsense, "gives no backend"},
        Bad{"opens_rubbish", kNonsense, "make no sense"}),
    [](const ::testing::TestParamInfo<Bad>& each) {
      return std::string(each.param.file);
    });

TEST_F(PluginRefusalTest, NothingOfAPluginOfAnotherAbiRuns) {
  const std::string mark = folder_.Path("mark");
  setenv("WS_PLUGIN_MARK", mark.c_str(), 1);
  MakeRegistry();
  EXPECT_FALSE(registry_.Open(folder_.AddBad("wrong_abi")).ok());
  EXPECT_FALSE(LoadPlugin(folder_.Path("wrong_abi.so")).ok());
  EXPECT_FALSE(std::filesystem::exists(mark));
  // Where the note is right, the same constructor does run.
  EXPECT_FALSE(registry_.Open(folder_.AddBad("constructor_aborts")).ok());
  EXPECT_TRUE(std::filesystem::exists(mark));
  unsetenv("WS_PLUGIN_MARK");
}

TEST_F(PluginRefusalTest, NothingRunsOfAPluginThatNobodyAsksFor) {
  const std::string mark = folder_.Path("mark");
  setenv("WS_PLUGIN_MARK", mark.c_str(), 1);
  MakeRegistry();
  folder_.AddBad("good");
  const std::string script = folder_.AddFile("script", "hlt\n");
  EXPECT_TRUE(registry_.Open("scripted:script=" + script).ok());
  EXPECT_EQ(registry_.List().size(), 2u);
  EXPECT_FALSE(std::filesystem::exists(mark));
  EXPECT_TRUE(registry_.Find("good").ok());
  EXPECT_TRUE(std::filesystem::exists(mark));
  unsetenv("WS_PLUGIN_MARK");
}

TEST_F(PluginRefusalTest, AnUnusableOneSaysWhyAndIsNotRefused) {
  MakeRegistry();
  absl::StatusOr<const BackendFactory*> factory =
      registry_.Find(folder_.AddBad("unusable"));
  ASSERT_TRUE(factory.ok()) << factory.status();
  EXPECT_EQ((*factory)->probe(),
            absl::UnavailableError("there is no such machine here"));
}

TEST_F(PluginRefusalTest, AVmThatThereIsNotIsAnError) {
  MakeRegistry();
  absl::StatusOr<BackendRegistry::Opened> opened =
      registry_.Open(folder_.AddBad("makes_no_vm"));
  ASSERT_TRUE(opened.ok()) << opened.status();
  const absl::Status status = opened->backend->CreateVm({}).status();
  EXPECT_EQ(status.code(), kNonsense);
  EXPECT_THAT(std::string(status.message()), HasSubstr("gives none"));
}

TEST_F(PluginRefusalTest, FilesThatAreNoPlugins) {
  MakeRegistry();
  const auto refusal = [this](const std::string& path) {
    const absl::Status status = registry_.Open(path).status();
    EXPECT_EQ(status.code(), kRefused) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(folder_.AddFile("empty.so", "")), HasSubstr("not ELF"));
  EXPECT_THAT(refusal(folder_.AddFile("text.so", std::string(4096, 'x'))),
              HasSubstr("is not ELF"));
  EXPECT_THAT(refusal("/proc/self/exe"), HasSubstr("no note of Worldswitch"));
  const std::string fifo = folder_.Path("fifo.so");
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(refusal(fifo), HasSubstr("not a regular file"));
  EXPECT_THAT(refusal(folder_.path()), HasSubstr("not a regular file"));
  // Cut off at every 64 bytes of the first KiB, and in the middle.
  const std::string whole = folder_.AddBad("good");
  const auto size = std::filesystem::file_size(whole);
  for (std::uintmax_t keep = 0; keep <= 1024; keep += 64) {
    std::filesystem::copy_file(
        whole, folder_.Path("cut.so"),
        std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(folder_.Path("cut.so"),
                                 keep == 1024 ? size / 2 : keep);
    EXPECT_FALSE(registry_.Open(folder_.Path("cut.so")).ok()) << keep;
  }
}

TEST_F(PluginRefusalTest, AFileThatIsNotThereIsNotFound) {
  MakeRegistry();
  const absl::Status status = registry_.Open(folder_.Path("none.so")).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("none.so"));
}

TEST_F(PluginRefusalTest, UnknownParametersAreRefusedAsOfBuiltInOnes) {
  folder_.AddBad("good");
  MakeRegistry();
  const absl::Status status = registry_.Open("good:color=red").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("backend \"good\" has no parameter \"color\"; did you "
                        "mean \"colour\"?"));
  EXPECT_TRUE(registry_.Open("good:colour=red").ok());
}

TEST_F(PluginRefusalTest, TwoOfOneNameAreBothRefusedByNameAndTakenByPath) {
  const std::string a = folder_.AddBad("twin_a");
  const std::string b = folder_.AddBad("twin_b");
  MakeRegistry();
  const absl::Status status = registry_.Open("twin").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(a));
  EXPECT_THAT(message, HasSubstr(b));
  EXPECT_TRUE(registry_.Open(a).ok());
  EXPECT_TRUE(registry_.Open(b).ok());
}

TEST_F(PluginRefusalTest, TheNameOfABuiltInOneIsNotAPluginsToTake) {
  BackendFactory kvm = ScriptedBackendFactory();
  kvm.name = "kvm";
  ASSERT_TRUE(registry_.Add(std::move(kvm)).ok());
  const std::string path = folder_.AddBad("named_kvm");
  MakeRegistry();
  const absl::Status status = registry_.Open(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("names itself \"kvm\", which is a backend that this "
                        "program is built with"));
  ASSERT_EQ(registry_.List().size(), 3u);
  EXPECT_EQ(registry_.List().back().status, status);
  // By the name, the built-in one.
  const std::string script = folder_.AddFile("script", "hlt\n");
  EXPECT_TRUE(registry_.Open("kvm:script=" + script).ok());
}

TEST_F(PluginRefusalTest, AnUnknownNameNamesWhatThereIs) {
  folder_.AddBad("good");
  folder_.AddBad("wrong_abi");
  MakeRegistry();
  const absl::Status status = registry_.Open("god").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("did you mean \"good\"?"));
  EXPECT_THAT(message, HasSubstr("refused: "));
  EXPECT_THAT(message, HasSubstr("wrong_abi.so: its ABI is version 99"));
}

}  // namespace
}  // namespace worldswitch
