// A boot's end, whichever it is, with shell scripts in the emulator's place;
// and what goes into a guest.

#include <archive.h>
#include <archive_entry.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lab/emulator.h"
#include "lab/emulator_run.h"
#include "lab/guest_program.h"
#include "lab/initramfs.h"
#include "lab/lab.h"
#include "lab/subprocess.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

// ---- The end of a boot ----

// A frame as printf's format.
std::string Frame(char type, const std::string& payload) {
  return absl::StrCat("WS", std::string(1, type), "\\000\\",
                      absl::StrFormat("%03o", payload.size()),
                      "\\000\\000\\000", payload);
}

class BootEndTest : public ::testing::Test {
 protected:
  BootEndTest() : folder_(*TemporaryDirectory::Make()) {
    boot_.console = folder_.File("console");
    boot_.channel = folder_.File("channel");
    boot_.command.output = folder_.File("emulator");
    boot_.command.directory = folder_.path();
    limits_.boot = std::chrono::seconds(20);
    limits_.total = std::chrono::seconds(20);
  }

  // The emulator is this script, which knows its own id.
  absl::Status Run(const std::string& script) {
    boot_.command.arguments = {"sh", "-c", "echo $$ > pid; " + script};
    return RunBoot(boot_, limits_, stop_, [this](const GuestFrame& frame) {
      heard_ += static_cast<char>(frame.type) + frame.payload + " ";
    });
  }

  bool IsGone() const {
    const pid_t pid = std::stoi(*ReadWholeFile(folder_.File("pid")));
    return kill(pid, 0) != 0 && errno == ESRCH;
  }

  TemporaryDirectory folder_;
  Boot boot_;
  RunLimits limits_;
  StopFlag stop_ = 0;
  std::string heard_;
};

TEST_F(BootEndTest, TheCommandsOwn) {
  const absl::Status ran =
      Run(absl::StrCat("printf '", Frame('H', "flags"), Frame('O', "text"),
                       Frame('X', "3"), "' > channel"));
  EXPECT_TRUE(ran.ok()) << ran;
  EXPECT_EQ(heard_, "Hflags Otext X3 ");
}

TEST_F(BootEndTest, AnEmulatorThatStaysIsEnded) {
  const absl::Status ran =
      Run("printf '" + Frame('X', "0") + "' > channel; exec sleep 100");
  EXPECT_TRUE(ran.ok()) << ran;
  EXPECT_TRUE(IsGone());
}

TEST_F(BootEndTest, AnInitThatRefuses) {
  const absl::Status ran = Run(
      "printf '" + Frame('R', "loading kvm_amd: EOPNOTSUPP") + "' > channel");
  EXPECT_EQ(ran.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ran.message(), HasSubstr("loading kvm_amd: EOPNOTSUPP"));
}

TEST_F(BootEndTest, AKernelThatPanics) {
  const absl::Status ran = Run(
      "printf 'one\\n\\033[31mKernel panic - not syncing: why\\n' > console;"
      "exec sleep 100");
  EXPECT_EQ(ran.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(ran.message(), HasSubstr("panicked"));
  EXPECT_THAT(ran.message(), HasSubstr("\n  Kernel panic - not syncing: why"));
  EXPECT_TRUE(IsGone());
}

TEST_F(BootEndTest, AnEmulatorThatEndsEarlySaysWhy) {
  const absl::Status ran = Run("echo unknown CPU model >&2; exit 7");
  EXPECT_EQ(ran.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(ran.message(), HasSubstr("exit code 7"));
  EXPECT_THAT(ran.message(), HasSubstr("before the kernel was up"));
  EXPECT_THAT(ran.message(), HasSubstr("  unknown CPU model"));
}

TEST_F(BootEndTest, AKernelThatDoesNotComeUp) {
  limits_.boot = std::chrono::seconds(0);
  const absl::Status ran = Run("echo last words > console; exec sleep 100");
  EXPECT_EQ(ran.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(ran.message(), HasSubstr("did not come up within 0 s"));
}

TEST_F(BootEndTest, ACommandThatTakesTooLong) {
  limits_.total = std::chrono::seconds(1);
  const absl::Status ran = Run("printf '" + Frame('H', "") +
                               "' > channel; echo last words > console;"
                               "exec sleep 100");
  EXPECT_EQ(ran.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(ran.message(), HasSubstr("--timeout"));
  EXPECT_THAT(ran.message(), HasSubstr("  last words"));
  EXPECT_TRUE(IsGone());
}

TEST_F(BootEndTest, AChannelThatMakesNoSense) {
  const absl::Status ran =
      Run("printf 'Linux version' > channel; exec sleep 100");
  EXPECT_EQ(ran.code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(IsGone());
}

TEST_F(BootEndTest, TheUsers) {
  stop_ = SIGINT;
  EXPECT_TRUE(absl::IsCancelled(Run("exec sleep 100")));
}

// ---- Other programs ----

TEST(RunToolTest, GivesWhatItPrintsOrWhyItFailed) {
  const StopFlag stop = 0;
  const std::chrono::seconds limit(20);
  EXPECT_EQ(*RunTool({"sh", "-c", "echo out; echo err >&2"}, "", limit, stop),
            "out\nerr\n");
  EXPECT_TRUE(
      absl::IsNotFound(RunTool({"no-such-program"}, "", limit, stop).status()));
  const absl::Status failed =
      RunTool({"sh", "-c", "echo because; exit 9"}, "", limit, stop).status();
  EXPECT_THAT(failed.message(), HasSubstr("exit code 9"));
  EXPECT_THAT(failed.message(), HasSubstr("because"));
  EXPECT_TRUE(absl::IsDeadlineExceeded(
      RunTool({"sleep", "100"}, "", std::chrono::seconds(0), stop).status()));
}

TEST(LastLinesTest, WithoutWhatATerminalWouldDo) {
  EXPECT_EQ(LastLines("a\n\x1b[2J\x1b[31mb\r\n\n \nc\x07\n", 2), "  b\n  c");
  EXPECT_EQ(LastLines("", 5), "");
}

// ---- What goes in ----

TEST(ParseLddTest, TakesThePaths) {
  const absl::StatusOr<std::vector<std::string>> paths = ParseLdd(
      "\tlinux-vdso.so.1 (0x00007ffc1)\n"
      "\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)\n"
      "\t/lib64/ld-linux-x86-64.so.2 (0x00007f2)\n");
  ASSERT_TRUE(paths.ok());
  EXPECT_THAT(*paths, ElementsAre("/lib/x86_64-linux-gnu/libc.so.6",
                                  "/lib64/ld-linux-x86-64.so.2"));
  EXPECT_THAT(ParseLdd("\tlibmine.so.1 => not found\n").status().message(),
              HasSubstr("libmine.so.1"));
}

TEST(NamedFilesTest, InEveryFormAnOptionHas) {
  const absl::StatusOr<TemporaryDirectory> folder = TemporaryDirectory::Make();
  const std::string here = folder->path();
  std::filesystem::create_directories(here + "/sub");
  EXPECT_THAT(
      NamedFiles({"program", "--json", "out.json", "--raw=sub/../raw.csv",
                  absl::StrCat("--gtest_output=xml:", here, "/sub/x.xml"),
                  "no/such/folder/file", "sub", "-", "--mode"},
                 here),
      ElementsAre(here + "/out.json", here + "/raw.csv", here + "/sub/x.xml"));
}

TEST(NamedFilesTest, APluginAndWhatItsParametersName) {
  const absl::StatusOr<TemporaryDirectory> folder = TemporaryDirectory::Make();
  const std::string here = folder->path();
  for (const char* plugin : {"/a.so", "/b.so"}) {
    std::ofstream(here + plugin) << "a plugin";
  }
  EXPECT_THAT(
      NamedFiles({"worldswitch", "bench", "--backend",
                  "./a.so:backend=./b.so:device=/dev/kvm,file=out,limit=5"},
                 here),
      IsSupersetOf({here + "/a.so", here + "/b.so", here + "/out"}));
}

TEST(InitramfsTest, IsAnArchiveWithDirectoriesFirst) {
  const absl::StatusOr<TemporaryDirectory> folder = TemporaryDirectory::Make();
  Initramfs initramfs;
  initramfs.AddFile("/lab/bin/tool", "binary", true);
  initramfs.AddFile("/init", "first", true);
  initramfs.AddDirectory("/dev");
  EXPECT_TRUE(initramfs.Has("/lab"));
  EXPECT_FALSE(initramfs.Has("/tmp"));
  ASSERT_TRUE(initramfs.Write(folder->File("a")).ok());
  ASSERT_TRUE(initramfs.Write(folder->File("b")).ok());
  EXPECT_EQ(*ReadWholeFile(folder->File("a")),
            *ReadWholeFile(folder->File("b")));
  archive* reader = archive_read_new();
  archive_read_support_format_cpio(reader);
  ASSERT_EQ(
      archive_read_open_filename(reader, folder->File("a").c_str(), 10240),
      ARCHIVE_OK);
  std::vector<std::string> seen;
  archive_entry* entry = nullptr;
  while (archive_read_next_header(reader, &entry) == ARCHIVE_OK) {
    seen.push_back(absl::StrCat(archive_entry_pathname(entry), " ",
                                archive_entry_perm(entry) == 0755 ? "x" : "-",
                                " ", archive_entry_size(entry)));
  }
  archive_read_free(reader);
  EXPECT_THAT(seen, ElementsAre("dev x 0", "init x 5", "lab x 0", "lab/bin x 0",
                                "lab/bin/tool x 6"));
}

TEST(InitramfsTest, AFullDiskIsSaid) {
  Initramfs initramfs;
  initramfs.AddFile("/big", std::string(1 << 20, 'x'), false);
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  EXPECT_THAT(initramfs.Write("/dev/full").message(),
              HasSubstr("make room there"));
  EXPECT_THAT(WriteWholeFile("/dev/full", "x").message(), HasSubstr("ENOSPC"));
}

TEST(TemporaryDirectoryTest, IsGoneWithWhatIsInIt) {
  std::string path;
  {
    absl::StatusOr<TemporaryDirectory> folder = TemporaryDirectory::Make();
    ASSERT_TRUE(folder.ok());
    path = folder->path();
    std::filesystem::create_directories(path + "/a/b");
    EXPECT_TRUE(std::filesystem::exists(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_THAT(TemporaryDirectory::Make("/no/such").status().message(),
              HasSubstr("TMPDIR"));
}

// ---- Emulators ----

TEST(EmulatorTest, QemuHasNoVmx) {
  const StopFlag stop = 0;
  const absl::Status refused =
      FindEmulator(LabEngine::kKvmIntel, LabEmulator::kQemu, "max", stop)
          .status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(refused.message(), HasSubstr("--emulator bochs"));
}

TEST(EmulatorTest, AMissingOneIsNamedWithItsPackage) {
  const StopFlag stop = 0;
  const std::string path = getenv("PATH");
  setenv("PATH", "/no/such", 1);
  const absl::Status qemu =
      FindEmulator(LabEngine::kKvmAmd, LabEmulator::kQemu, "max", stop)
          .status();
  const absl::Status bochs =
      FindEmulator(LabEngine::kKvmIntel, LabEmulator::kBochs, "x", stop)
          .status();
  setenv("PATH", path.c_str(), 1);
  EXPECT_TRUE(absl::IsUnavailable(qemu));
  EXPECT_THAT(qemu.message(), HasSubstr("apt-get install qemu-system-x86"));
  EXPECT_THAT(bochs.message(), HasSubstr("apt-get install bochs bochs-term"));
}

TEST(EmulatorTest, MitigationsAreAChoice) {
  EXPECT_THAT(KernelCommandLine(false), HasSubstr("mitigations=off"));
  EXPECT_THAT(KernelCommandLine(true), Not(HasSubstr("mitigations")));
}

TEST(EmulatorTest, QemuIsToldToCountInstructions) {
  const absl::StatusOr<Boot> boot = PrepareBoot({.emulator = LabEmulator::kQemu,
                                                 .cpu_model = "EPYC",
                                                 .mitigations = false,
                                                 .vmlinuz = "/k/vmlinuz",
                                                 .initramfs = "/i/initramfs",
                                                 .directory = "/a,b"});
  ASSERT_TRUE(boot.ok());
  const std::string words = absl::StrJoin(boot->command.arguments, " ");
  EXPECT_THAT(words, HasSubstr("-icount shift=0,sleep=off"));
  EXPECT_THAT(words, HasSubstr("-cpu EPYC"));
  EXPECT_THAT(words, HasSubstr("path=/a,,b/channel"));
}

TEST(DescribeLabTest, SaysWhatTheFiguresDependOn) {
  LabOptions options;
  options.emulator.version = "QEMU 7.2";
  options.cpu_model = "max";
  options.kernel.name = "linux-image-6.1";
  options.kernel.version = "6.1.1-1";
  options.module_parameters = {"kvm_amd.npt=0"};
  std::map<std::string, std::string> facts;
  for (const Fact& fact : DescribeLab(options).facts) {
    facts[fact.name] = fact.value;
  }
  EXPECT_EQ(facts["emulator"], "QEMU 7.2");
  EXPECT_EQ(facts["kernel"], "linux-image-6.1 6.1.1-1");
  EXPECT_EQ(facts["mitigations"], "off");
  EXPECT_EQ(facts["module_parameters"], "kvm_amd.npt=0");
}

}  // namespace
}  // namespace worldswitch
