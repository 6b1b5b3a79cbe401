#include "cli/native_lab_command.h"

#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <optional>

#include "CLI/CLI.hpp"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/native_log.h"
#include "bench/output_file.h"
#include "cli/exit_code.h"
#include "cli/failure.h"
#include "cli/lab_signals.h"
#include "cli/native_report.h"
#include "core/host/suggest.h"
#include "lab/native_boot.h"
#include "lab/native_knobs.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

constexpr char kBench[] = "bench";
const std::vector<std::string> kCommands = {kBench,     "path",   "conformance",
                                            "failures", "random", "report"};

// What the words after "--" come to.
struct ImageCommand {
  std::vector<std::string> words;  // for the image
  std::string json;                // for us
  std::string raw;
  std::string junit;
};

absl::Status CheckGlob(const std::string& glob, const char* engine) {
  if (HasNativeScenario(glob)) return absl::OkStatus();
  std::vector<std::string> names;
  bool of_kvm = false;
  for (const Scenario& scenario : AllScenarios()) {
    if (scenario.place != ScenarioPlace::kKvm) {
      names.emplace_back(scenario.name);
    } else {
      of_kvm = of_kvm || fnmatch(glob.c_str(), scenario.name, 0) == 0;
    }
  }
  if (of_kvm) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", glob, "' rests on KVM, and in ", engine,
        " there is none: worldswitch lab kvm_amd|kvm_intel -- bench"));
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "no scenario for ring 0 matches '", glob, "'", KnownNames(glob, names)));
}

// Knobs are checked before anything boots.
absl::Status CheckKnobs(const std::vector<std::string>& knobs,
                        LabEngine engine) {
  KnobSettings settings;
  for (const std::string& knob : knobs) {
    absl::Status parsed = ParseKnobSetting(knob, &settings);
    if (!parsed.ok()) return parsed;
  }
  return NativeKnobs(engine).Check(settings);
}

// The options of `bench` that the image knows, and those that are ours.
absl::StatusOr<ImageCommand> ParseBench(const NativeLabArguments& arguments) {
  constexpr std::uint32_t kMostSamples = 100'000;
  constexpr std::uint32_t kMostRepetitions = 1000;
  ImageCommand command;
  std::vector<std::string> scenarios;
  std::vector<std::string> knobs;
  std::string mode;
  std::optional<std::uint32_t> samples;
  std::optional<std::uint32_t> repetitions;
  bool final_loop = false;
  bool virtual_loop = false;
  CLI::App bench("", "lab ... -- bench");
  bench.set_help_flag();
  bench.add_option("--scenario", scenarios)->allow_extra_args(false);
  bench.add_option("--knob", knobs)->allow_extra_args(false);
  bench.add_option("--mode", mode)
      ->check(CLI::IsMember({"real", "ring0", "ring3"}));
  bench.add_option("--samples", samples)
      ->check(CLI::Range(std::uint32_t{1}, kMostSamples));
  bench.add_option("--repetitions", repetitions)
      ->check(CLI::Range(std::uint32_t{1}, kMostRepetitions));
  bench.add_option("--json", command.json);
  bench.add_option("--raw", command.raw);
  bench.add_flag("--final", final_loop);
  bench.add_flag("--virtual", virtual_loop);  // the default
  std::vector<std::string> words(arguments.command.rbegin(),
                                 arguments.command.rend() - 1);
  try {
    bench.parse(words);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(absl::StrCat(
        LabEngineName(arguments.engine), " -- bench: ", error.what(),
        "; it takes --scenario, --mode, --samples, --repetitions, --knob, "
        "--json, --raw, --virtual and --final"));
  }
  absl::Status right = CheckKnobs(knobs, arguments.engine);
  if (!right.ok()) return right;
  command.words = {kBench};
  for (const std::string& glob : scenarios) {
    absl::Status known = CheckGlob(glob, LabEngineName(arguments.engine));
    if (!known.ok()) return known;
    command.words.insert(command.words.end(), {"--scenario", glob});
  }
  for (const std::string& knob : knobs) {
    command.words.insert(command.words.end(), {"--knob", knob});
  }
  if (!mode.empty())
    command.words.insert(command.words.end(), {"--mode", mode});
  if (samples) {
    command.words.insert(command.words.end(),
                         {"--samples", absl::StrCat(*samples)});
  }
  if (repetitions) {
    command.words.insert(command.words.end(),
                         {"--repetitions", absl::StrCat(*repetitions)});
  }
  if (final_loop) command.words.emplace_back("--final");
  return command;
}

absl::StatusOr<ImageCommand> ParseCommand(const NativeLabArguments& arguments) {
  const std::string& word = arguments.command.front();
  if (word == kBench) return ParseBench(arguments);
  if (std::find(kCommands.begin(), kCommands.end(), word) == kCommands.end()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the image has no command '", word, "'", KnownNames(word, kCommands)));
  }
  std::vector<std::string> knobs;
  ImageCommand command;
  for (std::size_t i = 0; i < arguments.command.size(); ++i) {
    const std::string& option = arguments.command[i];
    const bool has_value = i + 1 < arguments.command.size();
    if (option == "--junit" && has_value) {
      command.junit = arguments.command[++i];
      continue;
    }
    if (option == "--knob" && has_value) {
      knobs.push_back(arguments.command[i + 1]);
    }
    command.words.push_back(option);
  }
  absl::Status right = CheckKnobs(knobs, arguments.engine);
  if (!right.ok()) return right;
  return command;
}

// Prints the lines of a serial log that are for people, as they become whole.
class PlainLines {
 public:
  explicit PlainLines(std::ostream& out) : out_(out) {}
  void Take(const std::string& text) {
    rest_ += text;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos;
         end = rest_.find('\n')) {
      std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (!line.empty() && line.front() != '@') out_ << line << "\n";
    }
    out_ << std::flush;
  }

 private:
  std::ostream& out_;
  std::string rest_;
};

// The log's own lines where the table tells nothing: a refusal, a dump.
void ShowPlainLines(const std::string& log) {
  PlainLines lines(std::cerr);
  lines.Take(log);
}

std::vector<Fact> LabFacts(const InstalledEmulator& emulator,
                           const std::string& cpu_model) {
  return {{"emulator", emulator.version},
          {"cpu_model", cpu_model},
          {"date", absl::FormatTime("%Y-%m-%d%ET%H:%M:%S+00:00", absl::Now(),
                                    absl::UTCTimeZone())}};
}

}  // namespace

bool HasNativeScenario(const std::string& glob) {
  for (const Scenario& scenario : AllScenarios()) {
    if (scenario.place != ScenarioPlace::kKvm &&
        fnmatch(glob.c_str(), scenario.name, 0) == 0) {
      return true;
    }
  }
  return false;
}

int RunNativeLab(const NativeLabArguments& arguments) {
  absl::StatusOr<ImageCommand> command = ParseCommand(arguments);
  if (!command.ok()) return FailInLab(command.status(), kExitUsage);
  absl::StatusOr<std::string> line = NativeCommandLine(command->words);
  if (!line.ok()) return FailInLab(line.status(), kExitUsage);
  NativeOutputs outputs;
  absl::Status opened =
      outputs.Open(command->json, command->raw, command->junit);
  if (!opened.ok()) return FailInLab(opened, kExitUsage);
  std::optional<OutputFile> kept;
  if (!arguments.log.empty()) {
    absl::StatusOr<OutputFile> file = OutputFile::Open(arguments.log);
    if (!file.ok()) return FailInLab(file.status(), kExitUsage);
    kept.emplace(*std::move(file));
  }

  LabEmulator kind = DefaultEmulator(arguments.engine);
  if (!arguments.emulator.empty()) {
    kind =
        arguments.emulator == "qemu" ? LabEmulator::kQemu : LabEmulator::kBochs;
  }
  const std::string cpu_model = arguments.cpu_model.empty()
                                    ? DefaultCpuModel(arguments.engine, kind)
                                    : arguments.cpu_model;
  const LabSignals signals;
  const StopFlag& stop = LabSignals::flag();
  absl::StatusOr<InstalledEmulator> emulator =
      FindEmulator(arguments.engine, kind, cpu_model, stop);
  if (!emulator.ok()) {
    const bool words = absl::IsInvalidArgument(emulator.status()) ||
                       absl::IsFailedPrecondition(emulator.status());
    return FailInLab(emulator.status(), words ? kExitUsage : kExitNoBackend);
  }

  absl::StatusOr<TemporaryDirectory> work = TemporaryDirectory::Make();
  if (!work.ok()) return FailInLab(work.status(), kExitFailed);
  absl::StatusOr<NativeBoot> boot =
      PrepareNativeBoot({.emulator = kind,
                         .cpu_model = cpu_model,
                         .command_line = *line,
                         .directory = work->path()});
  if (!boot.ok()) return FailInLab(boot.status(), kExitFailed);
  const bool bench = command->words.front() == kBench;
  PlainLines plain(std::cerr);
  std::string text;
  const absl::Status ran = RunNativeBoot(
      *boot, std::chrono::seconds(arguments.timeout), stop,
      [&](const std::string& bytes) {
        if (!bench) plain.Take(bytes);
      },
      &text);
  text = WithLabFacts(text, LabFacts(*emulator, cpu_model));
  if (kept.has_value()) {
    // Also of a boot that failed: it says how far it came.
    absl::Status written = kept->Commit(text);
    if (!written.ok()) return FailInLab(written, kExitFailed);
  }
  if (!ran.ok()) return FailInLab(ran, kExitFailed);
  NativeLog log;
  if (absl::Status read = ReadNativeLog(text, &log); !read.ok()) {
    return FailInLab(read, kExitFailed);
  }
  if (bench && log.done != 0) ShowPlainLines(text);
  return outputs.Show(log, log.InfoOf("lab.date"));
}

}  // namespace worldswitch
