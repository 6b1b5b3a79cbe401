#include "lab/emulator.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "core/host/suggest.h"
#include "lab/guest_channel.h"
#include "lab/memory_image.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

constexpr char kQemu[] = "qemu-system-x86_64";
constexpr char kBochs[] = "bochs-bin";
constexpr std::chrono::seconds kAskLimit(30);
constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;

absl::Status NotInstalled(const absl::Status& status, const char* program,
                          const char* packages) {
  if (!absl::IsNotFound(status)) return status;
  return absl::UnavailableError(
      absl::StrCat("this lab needs ", program,
                   ", which is not installed: apt-get install ", packages));
}

// The word after `mark`.
std::string WordAfter(absl::string_view text, absl::string_view mark) {
  const std::size_t at = text.find(mark);
  if (at == absl::string_view::npos) return "of unknown version";
  const absl::string_view rest = text.substr(at + mark.size());
  return std::string(rest.substr(0, rest.find_first_of(" \n\r(")));
}

absl::StatusOr<InstalledEmulator> FindQemu(const StopFlag& stop) {
  absl::StatusOr<std::string> text =
      RunTool({kQemu, "--version"}, "", kAskLimit, stop);
  if (!text.ok()) {
    return NotInstalled(text.status(), kQemu, "qemu-system-x86");
  }
  return InstalledEmulator{
      LabEmulator::kQemu,
      absl::StrCat("QEMU ", WordAfter(*text, "emulator version ")),
      {}};
}

absl::StatusOr<InstalledEmulator> FindBochs(const StopFlag& stop) {
  absl::StatusOr<std::string> text =
      RunTool({kBochs, "--help", "cpu"}, "", kAskLimit, stop);
  if (!text.ok()) {
    return NotInstalled(text.status(), kBochs, "bochs bochs-term");
  }
  InstalledEmulator found;
  found.kind = LabEmulator::kBochs;
  found.version = absl::StrCat("Bochs ", WordAfter(*text, "x86 Emulator "));
  bool models = false;
  for (const absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (absl::StartsWith(line, "Supported CPU models")) {
      models = true;
    } else if (models && !line.empty() && !absl::StrContains(line, ' ') &&
               !absl::StrContains(line, '=')) {
      found.cpu_models.emplace_back(line);
    }
  }
  return found;
}

// ---- QEMU ----

// In QEMU's options a comma ends a value and two are one.
std::string QemuValue(const std::string& value) {
  return absl::StrReplaceAll(value, {{",", ",,"}});
}

Boot PrepareQemu(const BootOptions& options) {
  Boot boot;
  boot.console = options.directory + "/console";
  boot.channel = options.directory + "/channel";
  boot.command.output = options.directory + "/emulator";
  boot.command.arguments = {
      kQemu, "-machine", "q35", "-accel", "tcg", "-cpu", options.cpu_model,
      "-m", absl::StrCat(kLabMemoryBytes / kMebibyte), "-nodefaults",
      "-no-user-config", "-display", "none", "-no-reboot",
      // One instruction is one nanosecond of every clock there is, and one
      // tick of the TSC; waiting takes no time of ours.
      "-icount", "shift=0,sleep=off", "-rtc",
      "clock=vm,base=2020-01-01T00:00:00", "-seed", "1", "-chardev",
      absl::StrCat("file,id=console,path=", QemuValue(boot.console)), "-serial",
      "chardev:console", "-chardev",
      absl::StrCat("file,id=channel,path=", QemuValue(boot.channel)), "-device",
      absl::StrCat("isa-parallel,chardev=channel,iobase=", kParallelData),
      "-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel",
      options.vmlinuz, "-initrd", options.initramfs, "-append",
      KernelCommandLine(options.mitigations)};
  return boot;
}

// ---- Bochs ----

// ips: instructions in a second of the guest's clocks; it changes nothing else.
std::string BochsConfiguration(const BootOptions& options, const Boot& boot) {
  const std::uint64_t mebibytes = kLabMemoryBytes / kMebibyte;
  return absl::StrCat(
      "display_library: term\n", "cpu: model=", options.cpu_model,
      ", count=1, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1\n",
      "memory: guest=", mebibytes, ", host=", mebibytes, "\n",
      "romimage: file=\"", options.directory, "/rom\", address=0xffff0000\n",
      "optramimage1: file=\"", options.directory, "/memory\", address=0x0\n",
      "com1: enabled=1, mode=file, dev=\"", boot.console, "\"\n",
      "parport1: enabled=1, file=\"", boot.channel, "\"\n",
      "log: ", options.directory, "/bochs.log\n",
      "panic: action=fatal\nerror: action=ignore\ninfo: action=ignore\n"
      "debug: action=ignore\nclock: sync=none, time0=1577836800\n"
      "sound: driver=dummy\nspeaker: enabled=0\n");
}

absl::StatusOr<Boot> PrepareBochs(const BootOptions& options) {
  Boot boot;
  boot.console = options.directory + "/console";
  boot.channel = options.directory + "/channel";
  boot.command.output = options.directory + "/emulator";
  const std::string configuration = options.directory + "/bochsrc";
  const std::string commands = options.directory + "/commands";
  boot.command.arguments = {kBochs, "-q", "-f", configuration, "-rc", commands};
  // Its text display wants a terminal's name; the terminal is a file.
  boot.command.environment = {"TERM=xterm"};

  absl::StatusOr<std::string> bytes = ReadWholeFile(options.vmlinuz);
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<KernelImage> kernel = ExtractKernel(*bytes);
  if (!kernel.ok()) {
    return absl::Status(
        kernel.status().code(),
        absl::StrCat(options.vmlinuz, ": ", kernel.status().message()));
  }
  std::error_code error;
  const std::uintmax_t initramfs_bytes =
      std::filesystem::file_size(options.initramfs, error);
  if (error) {
    return absl::NotFoundError(
        absl::StrCat(options.initramfs, ": ", error.message()));
  }
  absl::StatusOr<MemoryImage> image =
      LayOutMemory(*kernel, KernelCommandLine(options.mitigations),
                   initramfs_bytes, kLabMemoryBytes);
  if (!image.ok()) return image.status();
  // "c": its debugger waits for the word to go.
  for (const absl::Status& written :
       {WriteMemoryImage(*image, options.initramfs,
                         options.directory + "/memory"),
        WriteWholeFile(options.directory + "/rom", BootRom(*image)),
        WriteWholeFile(configuration, BochsConfiguration(options, boot)),
        WriteWholeFile(commands, "c\n")}) {
    if (!written.ok()) return written;
  }
  return boot;
}

}  // namespace

const char* LabEngineName(LabEngine engine) {
  switch (engine) {
    case LabEngine::kKvmAmd:
      return "kvm_amd";
    case LabEngine::kKvmIntel:
      return "kvm_intel";
    case LabEngine::kSvmNative:
      return "svm_native";
    case LabEngine::kVmxNative:
      return "vmx_native";
  }
  return "(no such engine)";
}

const char* LabEmulatorName(LabEmulator emulator) {
  return emulator == LabEmulator::kQemu ? "qemu" : "bochs";
}

LabEmulator DefaultEmulator(LabEngine engine) {
  return NeedsVmx(engine) ? LabEmulator::kBochs : LabEmulator::kQemu;
}

const char* DefaultCpuModel(LabEngine engine, LabEmulator emulator) {
  if (emulator == LabEmulator::kQemu) return "max";
  return NeedsVmx(engine) ? "corei7_haswell_4770" : "ryzen";
}

absl::StatusOr<InstalledEmulator> FindEmulator(LabEngine engine,
                                               LabEmulator emulator,
                                               const std::string& cpu_model,
                                               const StopFlag& stop) {
  if (NeedsVmx(engine) && emulator == LabEmulator::kQemu) {
    return absl::FailedPreconditionError(
        absl::StrCat("QEMU emulates no VMX, so no ", LabEngineName(engine),
                     ": take --emulator bochs"));
  }
  if (emulator == LabEmulator::kQemu) return FindQemu(stop);
  absl::StatusOr<InstalledEmulator> bochs = FindBochs(stop);
  if (!bochs.ok()) return bochs;
  const std::vector<std::string>& models = bochs->cpu_models;
  if (std::find(models.begin(), models.end(), cpu_model) == models.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat(bochs->version, " has no CPU model '", cpu_model, "'",
                     KnownNames(cpu_model, models)));
  }
  return bochs;
}

std::string KernelCommandLine(bool mitigations) {
  static constexpr char kNeedlessCalls[] =
      "load_system_certificate_list,trace_eval_init,init_kprobe_trace,"
      "cubictcp_register";
  std::vector<std::string> words = {
      "panic=-1", "nokaslr", "no_timer_check", "tsc=reliable", "acpi=off",
      "pci=off", "nosmp",
      // At 9600 baud, the default, printing takes most of the boot.
      "console=ttyS0,115200", "quiet", "cryptomgr.notests",
      // All that could differ between two boots.
      "clearcpuid=rdrand,rdseed", "random.trust_cpu=off",
      // Seconds of the boot, of no use here.
      absl::StrCat("initcall_blacklist=", kNeedlessCalls)};
  if (!mitigations) words.emplace_back("mitigations=off");
  std::string line;
  for (const std::string& word : words) {
    absl::StrAppend(&line, line.empty() ? "" : " ", word);
  }
  return line;
}

absl::StatusOr<Boot> PrepareBoot(const BootOptions& options) {
  if (options.emulator == LabEmulator::kBochs) return PrepareBochs(options);
  return PrepareQemu(options);
}

}  // namespace worldswitch
