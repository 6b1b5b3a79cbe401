#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/output_file.h"
#include "bench/result_json.h"
#include "bench/session.h"
#include "bench/vmexit_format.h"
#include "cli/backends.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/failure.h"
#include "cli/native_lab_command.h"
#include "cli/progress.h"
#include "cli/signals.h"
#include "cli/table.h"
#include "core/host/host_settings.h"
#include "core/host/lab_environment.h"

namespace worldswitch {
namespace {

constexpr char kAuto[] = "auto";
constexpr char kFormatTable[] = "table";
constexpr char kFormatVmexit[] = "vmexit";

// How long a run takes that nobody said anything about.
constexpr double kDefaultSeconds = 75;

// A block of the slowest scenario takes some 30 ms.
constexpr std::chrono::milliseconds kPatience(2000);
// In a lab that is a count of instructions: 500 million under QEMU.
constexpr std::chrono::milliseconds kLabPatience(500);

struct BenchArguments {
  std::string backend = kAuto;
  std::vector<std::string> scenarios;
  std::string mode;
  std::vector<std::string> knobs;
  std::uint32_t samples = 1000;
  std::uint32_t repetitions = ThisLab() ? kLabRepetitions : 10;
  std::optional<double> seconds;
  bool counts_given = false;  // --samples or --repetitions
  std::string format = kFormatTable;
  std::optional<std::uint32_t> cpu;
  std::string json;
  std::string raw;
};

std::optional<GuestMode> ModeByName(const std::string& name) {
  for (const GuestMode mode :
       {GuestMode::kReal, GuestMode::kRing0, GuestMode::kRing3}) {
    if (name == GuestModeName(mode)) return mode;
  }
  return std::nullopt;
}

// Everything that can be wrong with the words is found before anything runs.
absl::Status MakeOptions(const BenchArguments& arguments,
                         SessionOptions* options) {
  options->scenarios = arguments.scenarios;
  options->mode = ModeByName(arguments.mode);
  options->samples = arguments.samples;
  options->repetitions = arguments.repetitions;
  // Who says how much is to be measured waits for it; no clock in a lab tells a
  // time.
  if (ThisLab() && arguments.seconds) {
    return absl::InvalidArgumentError(
        "--seconds in a lab: its clocks count instructions; use --samples and "
        "--repetitions");
  }
  const bool by_count = arguments.counts_given || ThisLab();
  options->seconds = arguments.seconds.value_or(by_count ? 0 : kDefaultSeconds);
  if (arguments.format == kFormatVmexit) {
    if (options->mode.value_or(GuestMode::kRing0) != GuestMode::kRing0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--format vmexit and --mode ", arguments.mode,
                       ": vmexit's guest runs in ring 0"));
    }
    options->mode = GuestMode::kRing0;
  }
  absl::StatusOr<std::vector<std::uint32_t>> cpus = UsableCpus();
  if (!cpus.ok()) return cpus.status();
  options->cpus = *std::move(cpus);
  for (const std::string& knob : arguments.knobs) {
    absl::Status parsed = ParseKnobSetting(knob, &options->knobs);
    if (!parsed.ok()) return parsed;
  }
  if (arguments.cpu.has_value()) {
    options->cpu = *arguments.cpu;
    return absl::OkStatus();
  }
  absl::StatusOr<std::uint32_t> cpu = DefaultCpu();
  if (!cpu.ok()) return cpu.status();
  options->cpu = *cpu;
  return absl::OkStatus();
}

absl::Status OpenOutput(const std::string& path,
                        std::optional<OutputFile>* file) {
  if (path.empty()) return absl::OkStatus();
  absl::StatusOr<OutputFile> opened = OutputFile::Open(path);
  if (!opened.ok()) return opened.status();
  file->emplace(*std::move(opened));
  return absl::OkStatus();
}

// The same for a lab that needs no /dev/kvm; empty: something was asked for
// that only KVM or a clock has.
std::optional<std::vector<std::string>> NativeWords(
    const BenchArguments& arguments, const SessionOptions& options) {
  const bool native = std::all_of(options.scenarios.begin(),
                                  options.scenarios.end(), HasNativeScenario);
  if (ThisLab() || arguments.backend != kAuto || !arguments.knobs.empty() ||
      arguments.cpu || arguments.seconds || !native ||
      arguments.format != kFormatTable) {
    return std::nullopt;
  }
  std::vector<std::string> words = {"bench"};
  for (const std::string& glob : options.scenarios) {
    words.insert(words.end(), {"--scenario", glob});
  }
  if (arguments.counts_given) {
    words.insert(words.end(),
                 {"--samples", absl::StrCat(options.samples), "--repetitions",
                  absl::StrCat(options.repetitions)});
  }
  for (const auto& [name, value] : {std::pair("--mode", arguments.mode),
                                    std::pair("--json", arguments.json),
                                    std::pair("--raw", arguments.raw)}) {
    if (!value.empty()) words.insert(words.end(), {name, value});
  }
  return words;
}

int RunBench(const BenchArguments& arguments) {
  SessionOptions options;
  absl::Status made = MakeOptions(arguments, &options);
  if (!made.ok()) return Fail(made, kExitUsage);
  absl::StatusOr<std::vector<Row>> rows = SelectRows(options);
  if (!rows.ok()) return Fail(rows.status(), kExitUsage);
  const bool as_vmexit = arguments.format == kFormatVmexit;
  if (as_vmexit) KeepVmexitRows(&*rows);
  if (rows->empty()) {
    return Fail(absl::NotFoundError(
                    "none of these scenarios corresponds to a test of vmexit "
                    "('worldswitch list' shows which do)"),
                kExitUsage);
  }
  std::optional<OutputFile> json;
  std::optional<OutputFile> raw;
  for (const absl::Status& opened :
       {OpenOutput(arguments.json, &json), OpenOutput(arguments.raw, &raw)}) {
    if (!opened.ok()) return Fail(opened, kExitUsage);
  }
  int code = kExitOk;
  const std::unique_ptr<Backend> backend =
      OpenBackend(arguments.backend, &code);
  if (backend == nullptr) {
    const auto words = NativeWords(arguments, options);
    if (code != kExitNoBackend || !words) return code;
    std::cerr << "worldswitch: so this is the lab svm_native instead: SVM in "
                 "ring 0 under QEMU, which counts instructions and knows no "
                 "time\n";
    json.reset();
    raw.reset();
    return RunNativeLab({.engine = LabEngine::kSvmNative, .command = *words});
  }
  absl::Status knobs = backend->knobs().Check(options.knobs);
  if (!knobs.ok()) return Fail(knobs, kExitUsage);

  absl::StatusOr<HostSettings> host_settings =
      HostSettings::Apply(HostSettingsAmong(backend->knobs(), options.knobs));
  if (!host_settings.ok()) return Fail(host_settings.status(), kExitUsage);

  Watchdog watchdog(ThisLab() ? kLabPatience : kPatience);
  const SignalScope signals(watchdog);
  const Fingerprint fingerprint = ReadFingerprint();
  absl::Status pinned = PinToCpu(options.cpu);
  if (!pinned.ok()) return Fail(pinned, kExitUsage);

  // With results on standard output, the table is not mixed into them.
  std::ostream& out =
      arguments.json == "-" || arguments.raw == "-" ? std::cerr : std::cout;
  TableContext table;
  table.version = WORLDSWITCH_VERSION;
  table.backend = backend->name();
  table.engine = backend->engine();
  table.unit = backend->unit();
  table.options = options;
  table.fingerprint = &fingerprint;
  table.color = &out == &std::cout && isatty(STDOUT_FILENO) == 1;
  // What the lines of vmexit's format have no room for.
  (as_vmexit ? std::cerr : out) << TableHead(table) << std::flush;

  absl::StatusOr<SessionResult> result = [&] {
    Progress progress;
    return RunSession(*backend, watchdog, options, *std::move(rows),
                      [&](const std::string& what, double fraction) {
                        progress.Show(what, fraction);
                      });
  }();
  if (!result.ok()) return Fail(result.status(), kExitNoBackend);
  if (as_vmexit) {
    const VmexitText text = VmexitFormat(result->rows);
    out << text.lines << std::flush;
    std::cerr << text.notes;
  } else {
    out << TableBody(*result, table) << std::flush;
  }

  const ResultContext context = {
      .date = ThisLab() ? ThisLab()->date
                        : absl::FormatTime(absl::RFC3339_sec, absl::Now(),
                                           absl::LocalTimeZone()),
      .version = table.version,
      .backend = table.backend,
      .engine = table.engine,
      .unit = table.unit,
      .options = options,
      .fingerprint = &fingerprint};
  if (json.has_value()) {
    absl::Status written = json->Commit(ResultJson(*result, context));
    if (!written.ok()) code = Fail(written, kExitFailed);
  }
  if (raw.has_value()) {
    absl::Status written = raw->Commit(RawCsv(*result));
    if (!written.ok()) code = Fail(written, kExitFailed);
  }
  absl::Status restored = host_settings->Restore();
  if (!restored.ok()) code = Fail(restored, kExitFailed);
  const int signal = SignalScope::received();
  return signal != 0 ? kExitSignalBase + signal : code;
}

}  // namespace

void AddBenchCommand(CLI::App& app, const ChooseCommand& choose) {
  constexpr std::uint32_t kMaxSamples = 10'000'000;
  constexpr std::uint32_t kMaxRepetitions = 10'000;
  auto arguments = std::make_shared<BenchArguments>();
  CLI::App* bench = app.add_subcommand(
      "bench",
      "Measure exits: each scenario in each mode, with percentiles, legs and "
      "proof.\nWithout options: all of them, on the best backend here; without "
      "a "
      "usable\n/dev/kvm in the lab svm_native.");
  bench
      ->add_option(
          "--backend", arguments->backend,
          "auto, or NAME, or a plugin's path, each with :key=value,... "
          "('worldswitch backends' lists them)")
      ->type_name("NAME[:k=v,...]")
      ->capture_default_str();
  bench
      ->add_option("--scenario", arguments->scenarios,
                   "a scenario or a glob such as 'user/*'; may be given again")
      ->type_name("GLOB")
      ->allow_extra_args(false);
  bench
      ->add_option("--mode", arguments->mode,
                   "only this mode of the guest (default: all)")
      ->type_name("real|ring0|ring3")
      ->check(CLI::IsMember({"real", "ring0", "ring3"}));
  bench
      ->add_option(
          "--knob", arguments->knobs,
          "set a knob, such as registers=ioctl ('worldswitch knobs' lists "
          "them); may be given again")
      ->type_name("k=v")
      ->allow_extra_args(false);
  CLI::Option* const samples =
      bench
          ->add_option("--samples", arguments->samples,
                       "samples in a repetition; slow exits get fewer")
          ->check(CLI::Range(std::uint32_t{1}, kMaxSamples))
          ->capture_default_str();
  CLI::Option* const repetitions =
      bench
          ->add_option("--repetitions", arguments->repetitions,
                       "repetitions, each in a VM of its own")
          ->check(CLI::Range(std::uint32_t{1}, kMaxRepetitions))
          ->capture_default_str();
  bench
      ->add_option("--seconds", arguments->seconds,
                   "about how long it may take: slow exits get fewer samples "
                   "(default: 75; without a limit if --samples or "
                   "--repetitions is given, or for 0)")
      ->check(CLI::Range(0.0, 1e6));
  bench
      ->add_option("--format", arguments->format,
                   "table, or vmexit: 'name cycles' lines as kvm-unit-tests' "
                   "vmexit prints them, of the scenarios that correspond to "
                   "its tests and are proven")
      ->type_name("table|vmexit")
      ->check(CLI::IsMember({kFormatTable, kFormatVmexit}))
      ->capture_default_str();
  bench->add_option("--cpu", arguments->cpu,
                    "the CPU to pin to (default: the last one allowed)");
  bench
      ->add_option("--json", arguments->json,
                   "write Google Benchmark JSON with the host's fingerprint; "
                   "'-' is standard output")
      ->type_name("FILE");
  bench
      ->add_option("--raw", arguments->raw,
                   "write every sample as CSV; '-' is standard output")
      ->type_name("FILE");
  bench->callback([arguments, choose, samples, repetitions] {
    arguments->counts_given = samples->count() + repetitions->count() > 0;
    choose([arguments] { return RunBench(*arguments); });
  });
}

}  // namespace worldswitch
