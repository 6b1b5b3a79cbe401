#include "lab/lab.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/host/suggest.h"
#include "lab/guest_plan.h"
#include "lab/guest_program.h"
#include "lab/initramfs.h"
#include "lab/kernel_modules.h"
#include "lab/temporary_directory.h"

// embedded_init.S: the program of guest_init.cc.
extern "C" {
extern const char ws_lab_init[];
extern const char ws_lab_init_end[];
}

namespace worldswitch {
namespace {

namespace fs = std::filesystem;

constexpr char kGuestProgram[] = "/lab/bin/";
constexpr int kSignalBase = 128;

absl::StatusOr<std::vector<ModuleParameter>> ParseParameters(
    const std::vector<std::string>& texts,
    const std::vector<KernelModule>& modules) {
  std::vector<ModuleParameter> parameters;
  std::vector<std::string> names;
  names.reserve(modules.size());
  for (const KernelModule& module : modules) names.push_back(module.name);
  for (const std::string& text : texts) {
    absl::StatusOr<ModuleParameter> parsed = ParseModuleParameter(text);
    if (!parsed.ok()) return parsed.status();
    if (std::find(names.begin(), names.end(), parsed->module) == names.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the lab loads no module '", parsed->module, "'",
                       KnownNames(parsed->module, names)));
    }
    parameters.push_back(*std::move(parsed));
  }
  return parameters;
}

// Everything that goes into the guest.
class GuestBuilder {
 public:
  GuestBuilder(const LabOptions& options, const std::string& scratch,
               const StopFlag& stop)
      : options_(options), scratch_(scratch), stop_(stop) {}

  // Writes the initramfs.
  absl::Status Build(const std::string& path) {
    for (const char* directory : {"/dev", "/proc", "/sys", "/tmp"}) {
      initramfs_.AddDirectory(directory);
    }
    initramfs_.AddFile(
        "/init",
        std::string(ws_lab_init,
                    static_cast<std::size_t>(ws_lab_init_end - ws_lab_init)),
        true);
    if (absl::Status added = AddModules(); !added.ok()) return added;
    if (absl::Status added = AddCommand(); !added.ok()) return added;
    if (absl::Status added = AddFiles(); !added.ok()) return added;
    initramfs_.AddFile(kGuestPlanPath, GuestPlanText(plan_), false);
    return initramfs_.Write(path);
  }

 private:
  absl::Status AddModules() {
    absl::StatusOr<KernelModules> all =
        KernelModules::In(options_.kernel.modules);
    if (!all.ok()) return all.status();
    absl::StatusOr<std::vector<KernelModule>> order =
        all->LoadOrder({"msr", LabEngineName(options_.engine)});
    if (!order.ok()) return order.status();
    absl::StatusOr<std::vector<ModuleParameter>> parameters =
        ParseParameters(options_.module_parameters, *order);
    if (!parameters.ok()) return parameters.status();
    for (KernelModule& module : *order) {
      absl::StatusOr<std::string> own = ParametersFor(module, *parameters);
      if (!own.ok()) return own.status();
      const std::string path =
          absl::StrCat("/lab/modules/", module.name, ".ko");
      initramfs_.AddFile(path, std::move(module.bytes), false);
      plan_.modules.push_back({path, *std::move(own)});
    }
    return absl::OkStatus();
  }

  absl::Status AddCommand() {
    plan_.program = absl::StrCat(
        kGuestProgram, fs::path(options_.program).filename().string());
    plan_.arguments = options_.arguments;
    plan_.directory = options_.directory;
    plan_.environment = {
        "PATH=/lab/bin", "HOME=/tmp", "TMPDIR=/tmp", "TZ=UTC",
        absl::StrCat(kLabVariable, "=",
                     LabEnvironmentText(DescribeLab(options_)))};
    initramfs_.AddDirectory(options_.directory);
    return AddGuestProgram(options_.program, plan_.program, scratch_, stop_,
                           &initramfs_);
  }

  // Those that are there go in; those that are not can be made.
  absl::Status AddFiles() {
    plan_.files = NamedFiles(options_.arguments, options_.directory);
    for (const std::string& path : plan_.files) {
      initramfs_.AddDirectory(fs::path(path).parent_path().string());
      std::error_code ignored;
      const std::vector<std::string>& outputs = options_.outputs;
      if (std::find(outputs.begin(), outputs.end(), path) != outputs.end() ||
          !fs::is_regular_file(path, ignored) || initramfs_.Has(path)) {
        continue;
      }
      absl::Status added = initramfs_.AddHostFile(path, path, false);
      if (!added.ok()) return added;
    }
    return absl::OkStatus();
  }

  const LabOptions& options_;
  const std::string& scratch_;
  const StopFlag& stop_;
  Initramfs initramfs_;
  GuestPlan plan_;
};

// Makes of frames what the listener and the outcome want.
class FrameSorter {
 public:
  FrameSorter(const LabListener& listener, LabOutcome* outcome)
      : listener_(listener), outcome_(outcome) {}

  void Take(const GuestFrame& frame) {
    switch (frame.type) {
      case GuestFrameType::kHello:
        listener_.up(FindPathFeatures(frame.payload));
        break;
      case GuestFrameType::kOutput:
        listener_.output(frame.payload);
        break;
      case GuestFrameType::kError:
        listener_.error(frame.payload);
        break;
      case GuestFrameType::kFile:
        path_ = frame.payload;
        bytes_.clear();
        break;
      case GuestFrameType::kFileData:
        bytes_ += frame.payload;
        break;
      case GuestFrameType::kFileEnd:
        outcome_->files[path_] = std::move(bytes_);
        break;
      case GuestFrameType::kExited:
        SetCode(frame.payload, 0);
        break;
      case GuestFrameType::kSignalled:
        SetCode(frame.payload, kSignalBase);
        break;
      case GuestFrameType::kRefused:
        break;  // RunBoot makes an error of it
    }
  }

 private:
  void SetCode(const std::string& text, int base) {
    int code = 0;
    if (absl::SimpleAtoi(text, &code)) outcome_->exit_code = base + code;
  }

  const LabListener& listener_;
  LabOutcome* outcome_;
  std::string path_;
  std::string bytes_;
};

}  // namespace

LabEnvironment DescribeLab(const LabOptions& options) {
  LabEnvironment lab;
  lab.date = options.date;
  lab.facts = {{"emulator", options.emulator.version},
               {"cpu_model", options.cpu_model},
               {"kernel", options.kernel.version.empty()
                              ? options.kernel.name
                              : absl::StrCat(options.kernel.name, " ",
                                             options.kernel.version)},
               {"mitigations", options.mitigations ? "on" : "off"},
               {"module_parameters",
                options.module_parameters.empty()
                    ? "default"
                    : absl::StrJoin(options.module_parameters, " ")}};
  return lab;
}

std::vector<std::string> NamedFiles(const std::vector<std::string>& arguments,
                                    const std::string& directory) {
  std::set<std::string> named;
  // is_there: a file that is not is none.
  const auto add = [&](const std::string& text, bool is_there) {
    if (text.empty() || text.front() == '-') return;
    const fs::path path = (fs::path(directory) / text).lexically_normal();
    std::error_code ignored;
    if (path.has_filename() && fs::is_directory(path.parent_path(), ignored) &&
        !fs::is_directory(path, ignored) &&
        (!is_there || fs::exists(path, ignored))) {
      named.insert(path.string());
    }
  };
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    for (std::size_t start = 0;;) {
      const std::string text = argument.substr(start);
      add(text, false);
      // "--backend plugin.so:file=out,limit=5"
      add(text.substr(0, text.find_first_of(",;")), false);
      add(text.substr(0, text.find(':')), true);
      const std::size_t next = argument.find_first_of("=:", start);
      if (next == std::string::npos) break;
      start = next + 1;
    }
  }
  return {named.begin(), named.end()};
}

absl::StatusOr<LabOutcome> RunLab(const LabOptions& options,
                                  const LabListener& listener,
                                  const StopFlag& stop) {
  absl::StatusOr<TemporaryDirectory> work = TemporaryDirectory::Make();
  if (!work.ok()) return work.status();
  const std::string initramfs = work->File("initramfs");
  absl::Status built =
      GuestBuilder(options, work->path(), stop).Build(initramfs);
  if (!built.ok()) return built;
  absl::StatusOr<Boot> boot = PrepareBoot({.emulator = options.emulator.kind,
                                           .cpu_model = options.cpu_model,
                                           .mitigations = options.mitigations,
                                           .vmlinuz = options.kernel.vmlinuz,
                                           .initramfs = initramfs,
                                           .directory = work->path()});
  if (!boot.ok()) return boot.status();
  LabOutcome outcome;
  FrameSorter sorter(listener, &outcome);
  absl::Status ran =
      RunBoot(*boot, options.limits, stop,
              [&](const GuestFrame& frame) { sorter.Take(frame); });
  if (!ran.ok()) return ran;
  return outcome;
}

}  // namespace worldswitch
