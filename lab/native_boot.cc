#include "lab/native_boot.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "lab/growing_file.h"
#include "lab/temporary_directory.h"
#include "native/log_format.h"
#include "native/rom_layout.h"

extern "C" {
extern const char ws_native_elf[];
extern const char ws_native_elf_end[];
extern const char ws_native_rom[];
extern const char ws_native_rom_end[];
}

namespace worldswitch {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook(5);
// Between the image's last word and the emulator's end.
constexpr std::chrono::milliseconds kGrace(1000);
constexpr int kLogLines = 12;
constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
constexpr std::uint64_t kFourGib = std::uint64_t{1} << 32;
// Bochs's debugger stops at every panic that it reports, and a guest's triple
// fault under SVM is one: each stop takes a line of its commands.
constexpr int kPanics = 20000;

// The ROM with the command line where the image's loader looks for it.
std::string RomWith(const std::string& command_line) {
  std::string rom(ws_native_rom, ws_native_rom_end);
  rom.replace(WS_ROM_COMMAND_LINE, command_line.size(), command_line);
  return rom;
}

std::string File(const NativeBootOptions& options, const char* name) {
  return absl::StrCat(options.directory, "/", name);
}

// In QEMU's options a comma ends a value and two are one.
std::string QemuValue(const std::string& value) {
  return absl::StrReplaceAll(value, {{",", ",,"}});
}

absl::StatusOr<NativeBoot> PrepareQemu(const NativeBootOptions& options) {
  const std::string image = File(options, "image");
  NativeBoot boot;
  boot.serial = File(options, "serial");
  boot.command.output = File(options, "emulator");
  // As in emulator.cc: one instruction is one tick of every clock. The BIOS is
  // half a second sooner done with this machine than with q35.
  boot.command.arguments = {
      "qemu-system-x86_64",
      "-machine",
      "q35",
      "-accel",
      "tcg",
      "-cpu",
      options.cpu_model,
      "-m",
      absl::StrCat(kNativeMemoryBytes / kMebibyte),
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
      "-no-reboot",
      "-icount",
      "shift=0,sleep=off",
      "-rtc",
      "clock=vm,base=2020-01-01T00:00:00",
      "-seed",
      "1",
      "-chardev",
      absl::StrCat("file,id=serial,path=", QemuValue(boot.serial)),
      "-serial",
      "chardev:serial",
      "-device",
      "isa-debug-exit,iobase=0xf4,iosize=4",
      "-kernel",
      image,
      "-append",
      options.command_line};
  absl::Status written =
      WriteWholeFile(image, std::string(ws_native_elf, ws_native_elf_end));
  if (!written.ok()) return written;
  return boot;
}

absl::StatusOr<NativeBoot> PrepareBochs(const NativeBootOptions& options) {
  const std::uint64_t mebibytes = kNativeMemoryBytes / kMebibyte;
  NativeBoot boot;
  boot.serial = File(options, "serial");
  boot.command.output = File(options, "emulator");
  boot.command.arguments = {"bochs-bin", "-q",
                            "-f",        File(options, "bochsrc"),
                            "-rc",       File(options, "commands")};
  // Its text display wants a terminal's name; the terminal is a file.
  boot.command.environment = {"TERM=xterm"};
  // ips: with so few instructions a second the UART's pace costs few of them;
  // the TSC and the APIC's timer count instructions whatever it says.
  const std::string configuration = absl::StrCat(
      "display_library: term\n", "cpu: model=", options.cpu_model,
      ", count=1, ips=1000000, reset_on_triple_fault=0, ignore_bad_msrs=1\n",
      "memory: guest=", mebibytes, ", host=", mebibytes, "\n",
      "romimage: file=\"", File(options, "rom"), "\", address=0x",
      absl::Hex(kFourGib - WS_ROM_BYTES), "\n",
      "com1: enabled=1, mode=file, dev=\"", boot.serial, "\"\n",
      "log: ", File(options, "bochs.log"), "\n",
      "panic: action=report, cpu0=report\n",
      "error: action=ignore\ninfo: action=ignore\ndebug: action=ignore\n",
      "clock: sync=none, time0=1577836800\n",
      "sound: driver=dummy\nspeaker: enabled=0\n");
  std::string commands;
  for (int i = 0; i < kPanics; ++i) commands += "c\n";
  for (const absl::Status& written :
       {WriteWholeFile(File(options, "rom"), RomWith(options.command_line)),
        WriteWholeFile(File(options, "bochsrc"), configuration),
        WriteWholeFile(File(options, "commands"), commands)}) {
    if (!written.ok()) return written;
  }
  return boot;
}

// Whether the log has its last line, whole.
bool IsComplete(const std::string& log) {
  const std::size_t done =
      log.rfind(absl::StrCat("\n", native_log::kDone, " "));
  return done != std::string::npos &&
         log.find('\n', done + 1) != std::string::npos;
}

std::string LastOfLog(const std::string& log) {
  const std::string lines = LastLines(log, kLogLines);
  return lines.empty() ? "\nThe image said nothing."
                       : absl::StrCat("\nThe image said last:\n", lines);
}

absl::Status EndedEarly(const NativeBoot& boot, int code,
                        const std::string& log) {
  std::string what =
      absl::StrCat(boot.command.arguments[0], " ended with exit code ", code,
                   " before the image was done", FullDisk(boot.serial));
  absl::StatusOr<std::string> said = ReadWholeFile(boot.command.output);
  if (said.ok()) {
    const std::string lines = LastLines(*said, kLogLines);
    if (!lines.empty()) absl::StrAppend(&what, "\nIt said last:\n", lines);
  }
  return absl::UnavailableError(absl::StrCat(what, LastOfLog(log)));
}

}  // namespace

absl::StatusOr<std::string> NativeCommandLine(
    const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    const bool fits = !word.empty() &&
                      std::all_of(word.begin(), word.end(),
                                  [](char c) { return c > ' ' && c <= '~'; });
    if (!fits) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", word,
                       "' cannot stand in the image's command line: printable "
                       "ASCII without blanks can"));
    }
  }
  std::string line = absl::StrJoin(words, " ");
  // QEMU puts the image's path in front of it.
  constexpr std::size_t kMost = WS_ROM_COMMAND_LINE_BYTES - 512;
  if (line.size() > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("the image's command line holds ", kMost,
                     " characters, and this takes ", line.size()));
  }
  return line;
}

absl::StatusOr<NativeBoot> PrepareNativeBoot(const NativeBootOptions& options) {
  return options.emulator == LabEmulator::kBochs ? PrepareBochs(options)
                                                 : PrepareQemu(options);
}

absl::Status RunNativeBoot(
    const NativeBoot& boot, std::chrono::seconds limit, const StopFlag& stop,
    const std::function<void(const std::string& text)>& on_text,
    std::string* log) {
  log->clear();
  GrowingFile serial(boot.serial);
  absl::StatusOr<Subprocess> emulator = Subprocess::Start(boot.command);
  if (!emulator.ok()) return emulator.status();
  const Clock::time_point start = Clock::now();
  const auto listen = [&] {
    for (std::string bytes = serial.Read(); !bytes.empty();
         bytes = serial.Read()) {
      *log += bytes;
      if (on_text) on_text(bytes);
    }
  };
  for (;;) {
    const std::optional<int> ended = emulator->Wait(kLook);
    if (stop.load() != 0) return absl::CancelledError("interrupted");
    listen();
    if (IsComplete(*log)) {
      if (!ended.has_value()) emulator->Wait(kGrace);
      return absl::OkStatus();
    }
    if (ended.has_value()) return EndedEarly(boot, *ended, *log);
    if (Clock::now() - start > limit) {
      return absl::DeadlineExceededError(absl::StrCat(
          "the image was not done within ", limit.count(),
          " s and was ended; --timeout gives it longer", LastOfLog(*log)));
    }
  }
}

std::string WithLabFacts(const std::string& log,
                         const std::vector<Fact>& facts) {
  const std::size_t begin = log.rfind(native_log::kBegin);
  if (begin == std::string::npos) return log;
  const std::size_t end = log.find('\n', begin);
  if (end == std::string::npos) return log;
  std::string lines;
  for (const Fact& fact : facts) {
    absl::StrAppend(&lines, native_log::kInfo, " lab.", fact.name, " ",
                    fact.value, "\n");
  }
  return absl::StrCat(log.substr(0, end + 1), lines, log.substr(end + 1));
}

}  // namespace worldswitch
