#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/output_file.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/failure.h"
#include "cli/lab_signals.h"
#include "cli/native_lab_command.h"
#include "core/host/suggest.h"
#include "lab/kernel_difference.h"
#include "lab/kernel_modules.h"
#include "lab/lab.h"

namespace worldswitch {
namespace {

namespace fs = std::filesystem;

constexpr int kMostSeconds = 24 * 3600;
constexpr char kHiddenResult[] = ".worldswitch-lab-result.json";

struct LabArguments {
  std::string engine;
  std::string emulator;
  std::string kernel;
  std::string kernel_package;
  std::string against_kernel;
  std::string cpu_model;
  std::vector<std::string> module_parameters;
  std::string mitigations = "off";
  int timeout = 600;
  std::string log;
  std::vector<std::string> command;
  std::vector<std::string> verbs;  // of this program
};

constexpr LabEngine kEngines[] = {LabEngine::kKvmAmd, LabEngine::kKvmIntel,
                                  LabEngine::kSvmNative, LabEngine::kVmxNative};

LabEngine EngineByName(const std::string& name) {
  for (const LabEngine engine : kEngines) {
    if (name == LabEngineName(engine)) return engine;
  }
  return kEngines[0];
}

// Trouble with what the user named, or with what is missing here.
int FailToPrepare(const absl::Status& status) {
  const bool words = absl::IsInvalidArgument(status) ||
                     absl::IsNotFound(status) ||
                     absl::IsFailedPrecondition(status);
  return FailInLab(status, words ? kExitUsage : kExitNoBackend);
}

void Say(const std::string& text) { std::cerr << "lab: " << text << std::endl; }

// ---- The command ----

std::string ThisProgram() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored).string();
}

bool IsProgram(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

// Finds the program, and the words that it is given.
absl::Status ResolveCommand(const LabArguments& arguments, LabOptions* lab) {
  const std::string& word = arguments.command.front();
  const fs::path self = ThisProgram();
  const fs::path bin = self.parent_path();
  lab->arguments = arguments.command;
  if (absl::StrContains(word, '/') || IsProgram(bin / word)) {
    const fs::path path =
        absl::StrContains(word, '/') ? fs::path(word) : bin / word;
    if (!IsProgram(path)) {
      return absl::InvalidArgumentError(
          absl::StrCat("there is no program ", path.string()));
    }
    lab->program = fs::absolute(path).string();
    return absl::OkStatus();
  }
  std::vector<std::string> known;
  for (const std::string& verb : arguments.verbs) {
    if (verb == "lab") continue;
    known.push_back(verb);
    if (verb != word) continue;
    lab->program = self.string();
    lab->arguments.insert(lab->arguments.begin(), "worldswitch");
    return absl::OkStatus();
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(bin, ignored)) {
    if (IsProgram(entry.path())) known.push_back(entry.path().filename());
  }
  return absl::InvalidArgumentError(
      absl::StrCat("a lab runs a command of worldswitch or a program, and '",
                   word, "' is neither", KnownNames(word, known)));
}

absl::StatusOr<KernelFiles> OpenKernel(const std::string& files,
                                       const std::string& package,
                                       const std::string& cache,
                                       const StopFlag& stop) {
  if (!files.empty()) return ParseKernelFiles(files);
  return FetchKernel(package, cache, Say, stop);
}

// --against-kernel: either of the two ways to name one.
absl::StatusOr<KernelFiles> OpenOtherKernel(const std::string& text,
                                            const std::string& cache,
                                            const StopFlag& stop) {
  const bool files = absl::StrContains(text, '/');
  return OpenKernel(files ? text : "", files ? "" : text, cache, stop);
}

// ---- Files ----

// Where the command's results go, known to be writable before it runs.
class ResultFiles {
 public:
  // Opens what the arguments call an output, and notes it in lab->outputs.
  absl::Status Open(LabOptions* lab) {
    for (std::size_t i = 1; i < lab->arguments.size(); ++i) {
      const std::string& argument = lab->arguments[i];
      const std::string name = argument.substr(0, argument.find('='));
      if (!IsOutput(name)) continue;
      std::string value;
      if (name.size() < argument.size()) {
        value = argument.substr(name.size() + 1);
      } else if (i + 1 < lab->arguments.size()) {
        value = lab->arguments[i + 1];
      }
      if (name == "--gtest_output") value = value.substr(value.find(':') + 1);
      if (value.empty() || value.front() == '-') continue;
      const std::string path =
          (fs::path(lab->directory) / value).lexically_normal().string();
      absl::StatusOr<OutputFile> file = OutputFile::Open(path);
      if (!file.ok()) return file.status();
      open_[path] = *std::move(file);
      lab->outputs.push_back(path);
    }
    return absl::OkStatus();
  }

  absl::Status Write(const std::string& path, const std::string& bytes) {
    auto file = open_.find(path);
    if (file == open_.end()) {
      absl::StatusOr<OutputFile> opened = OutputFile::Open(path);
      if (!opened.ok()) return opened.status();
      file = open_.emplace(path, *std::move(opened)).first;
    }
    absl::Status written = file->second.Commit(bytes);
    open_.erase(file);
    return written;
  }

 private:
  static bool IsOutput(const std::string& name) {
    return name == "--json" || name == "--raw" || name == "--out" ||
           name == "--junit" || name == "--benchmark_out" ||
           name == "--gtest_output";
  }

  std::map<std::string, OutputFile> open_;
};

// ---- Runs ----

LabListener MakeListener(const LabOptions& lab, bool show_output) {
  LabListener listener;
  listener.output = [show_output](const std::string& text) {
    if (show_output) std::cout << text << std::flush;
  };
  listener.error = [](const std::string& text) { std::cerr << text; };
  listener.up = [&lab](const PathFeatures& features) {
    const LabEnvironment description = DescribeLab(lab);
    std::vector<std::string> facts;
    for (const Fact& fact : description.facts) {
      facts.push_back(absl::StrCat(fact.name, " ", fact.value));
    }
    Say(absl::StrCat(LabEngineName(lab.engine), ": ",
                     absl::StrJoin(facts, ", "),
                     "; a tick is one instruction"));
    Say(absl::StrCat("this CPU lacks: ",
                     features.absent.empty()
                         ? "nothing that changes the path"
                         : absl::StrJoin(features.absent, ", ")));
  };
  return listener;
}

int RunOnce(LabOptions lab, const StopFlag& stop) {
  ResultFiles results;
  if (absl::Status opened = results.Open(&lab); !opened.ok()) {
    return FailInLab(opened, kExitUsage);
  }
  absl::StatusOr<LabOutcome> outcome =
      RunLab(lab, MakeListener(lab, true), stop);
  if (!outcome.ok()) {
    return FailInLab(outcome.status(),
                     absl::IsInvalidArgument(outcome.status()) ||
                             absl::IsNotFound(outcome.status())
                         ? kExitUsage
                         : kExitFailed);
  }
  for (const auto& [path, bytes] : outcome->files) {
    if (absl::Status written = results.Write(path, bytes); !written.ok()) {
      return FailInLab(written, kExitFailed);
    }
  }
  return outcome->exit_code;
}

// The path that `bench --json` gets, added to the command if it has none.
std::string ResultPath(LabOptions* lab) {
  std::string value;
  for (std::size_t i = 1; i < lab->arguments.size(); ++i) {
    if (absl::StartsWith(lab->arguments[i], "--json=")) {
      value = lab->arguments[i].substr(std::string("--json=").size());
    } else if (lab->arguments[i] == "--json" && i + 1 < lab->arguments.size()) {
      value = lab->arguments[i + 1];
    }
  }
  if (value.empty()) {
    value = kHiddenResult;
    lab->arguments.insert(lab->arguments.end(), {"--json", value});
  }
  return (fs::path(lab->directory) / value).lexically_normal().string();
}

// The same command under both kernels. before: the one to compare with.
int RunAgainst(LabOptions lab, const KernelFiles& before,
               const StopFlag& stop) {
  const std::string path = ResultPath(&lab);
  if (fs::path(path).filename() == "-") {
    return FailInLab(
        absl::InvalidArgumentError(
            "with --against-kernel, --json takes a file: it gets the "
            "result after, and FILE.before the one before"),
        kExitUsage);
  }
  const bool hidden = fs::path(path).filename() == kHiddenResult;
  ResultFiles results;
  if (absl::Status opened = hidden ? absl::OkStatus() : results.Open(&lab);
      !opened.ok()) {
    return FailInLab(opened, kExitUsage);
  }
  const KernelFiles after = lab.kernel;
  std::string texts[2];
  for (int i = 0; i < 2; ++i) {
    lab.kernel = i == 0 ? before : after;
    absl::StatusOr<LabOutcome> outcome =
        RunLab(lab, MakeListener(lab, false), stop);
    if (!outcome.ok()) return FailInLab(outcome.status(), kExitFailed);
    if (outcome->exit_code != kExitOk) return outcome->exit_code;
    texts[i] = outcome->files[path];
    if (hidden) continue;
    absl::Status written =
        results.Write(i == 0 ? path + ".before" : path, texts[i]);
    if (!written.ok()) return FailInLab(written, kExitFailed);
  }
  absl::StatusOr<std::string> table = KernelDifference(texts[0], texts[1]);
  if (!table.ok()) return FailInLab(table.status(), kExitFailed);
  std::cout << *table << std::flush;
  return kExitOk;
}

// What a stock kernel takes, and the image does not.
absl::Status CheckNative(const LabArguments& arguments) {
  const std::pair<const char*, bool> kGiven[] = {
      {"--kernel", !arguments.kernel.empty()},
      {"--kernel-package", !arguments.kernel_package.empty()},
      {"--against-kernel", !arguments.against_kernel.empty()},
      {"--module-param", !arguments.module_parameters.empty()},
      {"--mitigations on", arguments.mitigations == "on"}};
  for (const auto& [name, given] : kGiven) {
    if (given) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, " is for kvm_amd and kvm_intel: ", arguments.engine,
          " has no kernel"));
    }
  }
  return absl::OkStatus();
}

int RunLabCommand(const LabArguments& arguments) {
  LabOptions lab;
  lab.engine = EngineByName(arguments.engine);
  if (IsNative(lab.engine)) {
    if (absl::Status right = CheckNative(arguments); !right.ok()) {
      return FailInLab(right, kExitUsage);
    }
    return RunNativeLab({.engine = lab.engine,
                         .emulator = arguments.emulator,
                         .cpu_model = arguments.cpu_model,
                         .log = arguments.log,
                         .timeout = arguments.timeout,
                         .command = arguments.command});
  }
  if (!arguments.log.empty()) {
    return FailInLab(absl::InvalidArgumentError(
                         "--log keeps the image's log: for svm_native and "
                         "vmx_native only"),
                     kExitUsage);
  }
  const bool against = !arguments.against_kernel.empty();
  LabEmulator emulator = DefaultEmulator(lab.engine);
  // A comparison is of paths as hardware has them, so with nRIP save.
  if (against) emulator = LabEmulator::kBochs;
  if (!arguments.emulator.empty()) {
    emulator =
        arguments.emulator == "qemu" ? LabEmulator::kQemu : LabEmulator::kBochs;
  }
  lab.cpu_model = arguments.cpu_model.empty()
                      ? DefaultCpuModel(lab.engine, emulator)
                      : arguments.cpu_model;
  lab.module_parameters = arguments.module_parameters;
  lab.mitigations = arguments.mitigations == "on";
  lab.limits.total = std::chrono::seconds(arguments.timeout);
  lab.limits.boot = std::min(lab.limits.boot, lab.limits.total);
  lab.date = absl::FormatTime("%Y-%m-%d%ET%H:%M:%S+00:00", absl::Now(),
                              absl::UTCTimeZone());
  std::error_code error;
  lab.directory = fs::current_path(error).string();
  if (error) {
    return FailInLab(absl::NotFoundError(absl::StrCat(
                         "this directory is gone (", error.message(),
                         "): change to one that exists")),
                     kExitUsage);
  }
  if (absl::Status found = ResolveCommand(arguments, &lab); !found.ok()) {
    return FailInLab(found, kExitUsage);
  }
  if (against && (lab.arguments.size() < 2 || lab.arguments[1] != "bench")) {
    return FailInLab(
        absl::InvalidArgumentError(
            "--against-kernel compares what `bench` measures: "
            "worldswitch lab ... --against-kernel OTHER -- bench ..."),
        kExitUsage);
  }
  for (const std::string& text : lab.module_parameters) {
    absl::StatusOr<ModuleParameter> parsed = ParseModuleParameter(text);
    if (!parsed.ok()) return FailInLab(parsed.status(), kExitUsage);
  }

  const LabSignals signals;
  const StopFlag& stop = LabSignals::flag();
  absl::StatusOr<InstalledEmulator> installed =
      FindEmulator(lab.engine, emulator, lab.cpu_model, stop);
  if (!installed.ok()) return FailToPrepare(installed.status());
  lab.emulator = *std::move(installed);
  const std::string cache = LabCacheDirectory(ThisProgram());
  absl::StatusOr<KernelFiles> kernel =
      OpenKernel(arguments.kernel, arguments.kernel_package, cache, stop);
  if (!kernel.ok()) return FailToPrepare(kernel.status());
  lab.kernel = *std::move(kernel);
  if (!against) return RunOnce(std::move(lab), stop);
  absl::StatusOr<KernelFiles> other =
      OpenOtherKernel(arguments.against_kernel, cache, stop);
  if (!other.ok()) return FailToPrepare(other.status());
  return RunAgainst(std::move(lab), *other, stop);
}

}  // namespace

void AddLabCommand(CLI::App& app, const ChooseCommand& choose) {
  auto arguments = std::make_shared<LabArguments>();
  for (const CLI::App* verb :
       app.get_subcommands([](const CLI::App*) { return true; })) {
    arguments->verbs.push_back(verb->get_name());
  }
  CLI::App* lab = app.add_subcommand(
      "lab",
      "Run a command in an emulated host whose TSC counts instructions: the "
      "same\n"
      "figures on any machine, every time. kvm_*: on a stock Debian kernel; "
      "files that\n"
      "the arguments name go in, and come back out. *_native: in ring 0, by "
      "the image\n"
      "worldswitch-native: bench, path, conformance, failures, random, "
      "report.");
  std::vector<std::string> engines;
  for (const LabEngine engine : kEngines) {
    engines.emplace_back(LabEngineName(engine));
  }
  lab->add_option("engine", arguments->engine, "what is measured")
      ->type_name(absl::StrJoin(engines, "|"))
      ->required()
      ->check(CLI::IsMember(engines));
  lab->add_option("command", arguments->command,
                  "after '--': a command of worldswitch, or a program of its "
                  "folder, with arguments")
      ->type_name("-- COMMAND...")
      ->required();
  lab->add_option("--emulator", arguments->emulator,
                  "default: qemu for AMD's (quick, but its CPU has no nRIP "
                  "save), bochs for Intel's")
      ->type_name("qemu|bochs")
      ->check(CLI::IsMember({"qemu", "bochs"}));
  CLI::Option* kernel =
      lab->add_option("--kernel", arguments->kernel,
                      "a bzImage and the directory of its modules")
          ->type_name("VMLINUZ+MODULES");
  lab->add_option("--kernel-package", arguments->kernel_package,
                  "a Debian kernel, such as linux-image-6.1.0-55-cloud-amd64 "
                  "(default: the newest cloud kernel when first used)")
      ->type_name("NAME")
      ->excludes(kernel);
  lab->add_option("--against-kernel", arguments->against_kernel,
                  "run `bench` under this one too, and show what changed; "
                  "kvm_amd is then on Bochs unless told otherwise")
      ->type_name("NAME|VMLINUZ+MODULES");
  lab->add_option("--cpu", arguments->cpu_model,
                  "default: max (QEMU), ryzen or corei7_haswell_4770 (Bochs)")
      ->type_name("MODEL");
  lab->add_option("--module-param", arguments->module_parameters,
                  "load a module with it, such as kvm_amd.npt=0; may be given "
                  "again")
      ->type_name("M.NAME=VALUE")
      ->allow_extra_args(false);
  lab->add_option("--mitigations", arguments->mitigations,
                  "the kernel's, against speculation; off boots sooner")
      ->type_name("on|off")
      ->check(CLI::IsMember({"on", "off"}))
      ->capture_default_str();
  lab->add_option("--timeout", arguments->timeout,
                  "seconds after which a boot is ended")
      ->type_name("S")
      ->check(CLI::Range(1, kMostSeconds))
      ->capture_default_str();
  lab->add_option("--log", arguments->log,
                  "keep the image's serial log (*_native); 'worldswitch import "
                  "FILE' reads it")
      ->type_name("FILE");
  lab->callback([arguments, choose] {
    choose([arguments] { return RunLabCommand(*arguments); });
  });
}

}  // namespace worldswitch
