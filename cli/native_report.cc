#include "cli/native_report.h"

#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "bench/result_json.h"
#include "cli/exit_code.h"
#include "cli/native_clauses.h"
#include "cli/table.h"
#include "core/host/fingerprint.h"
#include "core/host/wrap.h"

namespace worldswitch {
namespace {

constexpr char kLabPrefix[] = "lab.";
constexpr char kLabDate[] = "lab.date";
constexpr char kKnobPrefix[] = "knob.";
constexpr char kRefusedPrefix[] = "refused.";
constexpr char kPathPrefix[] = "path.";
constexpr double kNanosecondsPerSecond = 1e9;
constexpr double kHertzPerMegahertz = 1e6;

// What the image ends with (native/log_format.h).
enum DoneCode : int { kDoneOk, kDoneFailed, kDoneUsage, kDoneNoEngine };

std::string EngineOf(const NativeLog& log) {
  const std::string backend = log.InfoOf("backend");
  if (backend == "svm_amd") return "svm_native";
  if (backend == "vmx_intel") return "vmx_native";
  return "none";
}

// Ticks a second, as the image found them; 0 where it could not, and in a lab.
double TscHz(const NativeLog& log) {
  std::uint64_t hz = 0;
  const std::string text = log.InfoOf("tsc_hz");
  if (NativeUnit(log) != "ticks" || !absl::SimpleAtoi(text, &hz)) return 0;
  return static_cast<double>(hz);
}

// What a leaf of CPUID says that the measurement overruled: "; CPUID 15h says
// 2500000000 Hz", or "". Leaf 16H has whole MHz, and not the TSC's own: only
// what is off by more than 1 % contradicts.
std::string OverruledText(const NativeLog& log) {
  std::uint64_t said = 0;
  if (absl::SimpleAtoi(log.InfoOf("tsc_cpuid_15h_hz"), &said)) {
    return absl::StrFormat("; CPUID 15h says %d Hz", said);
  }
  if (absl::SimpleAtoi(log.InfoOf("tsc_cpuid_16h_hz"), &said) &&
      std::abs(static_cast<double>(said) - TscHz(log)) > TscHz(log) / 100) {
    return absl::StrFormat("; CPUID 16h says %d Hz", said);
  }
  return "";
}

// In the words of FindTscFrequency, with what a measurement leaves open.
std::string TscSourceOf(const NativeLog& log) {
  if (TscHz(log) <= 0) return kNoValue;
  std::string source = log.InfoOf("tsc_source");
  if (source.empty()) return "the image";
  if (!absl::StartsWith(source, "measured")) return source;
  return absl::StrCat(source, " to ", log.InfoOf("tsc_pit_error_ppm"), " ppm",
                      OverruledText(log));
}

std::string UnitText(const NativeLog& log) {
  const double hz = TscHz(log);
  if (hz > 0) {
    return absl::StrFormat("TSC ticks of %.3f ns (%.1f MHz, %s)",
                           kNanosecondsPerSecond / hz, hz / kHertzPerMegahertz,
                           TscSourceOf(log));
  }
  if (NativeUnit(log) != "ticks") return NativeUnit(log);
  return "ticks of the TSC, whose frequency is not known";
}

// What the boot was told or counted, and not what machine it was on. A measured
// frequency is never the same twice.
bool IsOfTheBoot(const std::string& name, bool measured) {
  if (name == "tsc_hz" && measured) return true;
  for (const char* prefix :
       {kKnobPrefix, kPathPrefix, "random.", "loop", "tsc_pit_"}) {
    if (absl::StartsWith(name, prefix)) return true;
  }
  return false;
}

Fingerprint FingerprintOf(const NativeLog& log) {
  const bool measured = !absl::StartsWith(TscSourceOf(log), "CPUID");
  Fingerprint machine;
  std::vector<Fact> stay;  // the hash is of these
  for (const Fact& fact : log.info) {
    if (fact.name == kLabDate) continue;
    const bool of_lab = absl::StartsWith(fact.name, kLabPrefix);
    machine.facts.push_back(
        {of_lab ? fact.name : absl::StrCat("native.", fact.name), fact.value});
    if (!IsOfTheBoot(fact.name, measured)) stay.push_back(machine.facts.back());
  }
  machine.tsc_hz = TscHz(log);
  machine.tsc_source = TscSourceOf(log);
  machine.hash = FingerprintHash(stay);
  return machine;
}

SessionOptions OptionsOf(const NativeLog& log) {
  SessionOptions options;
  options.samples = log.samples_per_repetition;
  options.repetitions = log.repetitions;
  for (const Fact& fact : log.info) {
    if (absl::StartsWith(fact.name, kKnobPrefix)) {
      options.knobs[fact.name.substr(sizeof(kKnobPrefix) - 1)] = fact.value;
    }
  }
  return options;
}

// "NAME VALUE" of the facts that begin so, without the prefix.
std::string FactsOf(const NativeLog& log, const char* prefix) {
  std::vector<std::string> facts;
  for (const Fact& fact : log.info) {
    if (!absl::StartsWith(fact.name, prefix)) continue;
    const std::string name = fact.name.substr(std::string(prefix).size());
    facts.push_back(fact.value.empty() ? name
                                       : absl::StrCat(name, " ", fact.value));
  }
  return absl::StrJoin(facts, ", ");
}

void AddLine(const char* label, const std::string& text, std::string* to) {
  if (text.empty()) return;
  const std::string head = absl::StrFormat("%-8s ", label);
  absl::StrAppend(to, Wrap(absl::StrCat(head, text), head.size()));
}

// What the figures of a boot outside our labs suffer from.
void AddCaveats(const NativeLog& log, std::string* to) {
  if (!FactsOf(log, kLabPrefix).empty()) return;
  const std::string emulator = log.InfoOf("emulator");
  if (emulator == "TCGTCGTCGTCG") {
    AddLine("emulator:",
            emulator +
                " (QEMU): a tick is an instruction only if it was told to "
                "count them (-icount); no figure is a time of a processor's",
            to);
  } else {
    AddLine("emulator:", emulator, to);
  }
  if (NativeUnit(log) != "ticks") return;
  const std::string hypervisor = log.InfoOf("hypervisor");
  if (!hypervisor.empty()) {
    AddLine("distorted:",
            absl::StrCat("under the hypervisor ", hypervisor,
                         ": its exits are in every figure (boot the image on "
                         "the machine itself)"),
            to);
  }
  if (log.InfoOf("tsc_invariant") == "no") {
    AddLine("distorted:",
            "the TSC is not invariant: ticks change with frequency and sleep "
            "(measure on another machine)",
            to);
  }
}

std::string CountsOf(const std::vector<NativeCheck>& checks) {
  using Verdict = NativeCheck::Verdict;
  std::map<Verdict, int> counts;
  for (const NativeCheck& check : checks) ++counts[check.verdict];
  std::vector<std::string> parts;
  for (const Verdict verdict : {Verdict::kPassed, Verdict::kFailed,
                                Verdict::kDeviates, Verdict::kSkipped}) {
    if (counts[verdict] > 0 || verdict == Verdict::kFailed) {
      parts.push_back(
          absl::StrCat(counts[verdict], " ", NativeCheckVerdictName(verdict)));
    }
  }
  return absl::StrJoin(parts, ", ");
}

std::string ChecksOf(const char* what, const std::vector<NativeCheck>& checks) {
  if (checks.empty()) return "";
  std::string text = absl::StrCat(what, ": ", CountsOf(checks), "\n");
  for (const NativeCheck& check : checks) {
    if (check.verdict == NativeCheck::Verdict::kPassed) continue;
    absl::StrAppend(
        &text, Wrap(absl::StrCat("  ", NativeCheckVerdictName(check.verdict),
                                 " ", check.name,
                                 check.text.empty() ? "" : ": ", check.text),
                    4));
  }
  return text;
}

int ExitCodeOf(const NativeLog& log) {
  switch (log.done.value_or(kDoneFailed)) {
    case kDoneOk:
      return kExitOk;
    case kDoneUsage:
      return kExitUsage;
    case kDoneNoEngine:
      return kExitNoBackend;
    default:
      return kExitFailed;
  }
}

}  // namespace

std::string NativeUnit(const NativeLog& log) {
  return FactsOf(log, kLabPrefix).empty() && log.InfoOf("emulator").empty()
             ? "ticks"
             : "instructions";
}

std::string NativeHead(const NativeLog& log) {
  std::string text =
      absl::StrCat("worldswitch ", WORLDSWITCH_VERSION, ", backend ",
                   log.InfoOf("backend"), ", engine ", EngineOf(log), "\n");
  AddLine("engine:",
          "the image worldswitch-native in ring 0: no kernel, no user space",
          &text);
  AddLine("cpu:", absl::StrCat(log.InfoOf("vendor"), " ", log.InfoOf("cpu")),
          &text);
  AddLine("unit:", UnitText(log), &text);
  AddLine("lab:", FactsOf(log, kLabPrefix), &text);
  AddCaveats(log, &text);
  AddLine("refused:", FactsOf(log, kRefusedPrefix), &text);
  AddLine("without:", log.InfoOf("random.without"), &text);
  if (log.repetitions > 0) {
    AddLine("run:",
            absl::StrFormat("%d repetitions of %d samples, a new VM each",
                            log.repetitions, log.samples_per_repetition),
            &text);
  }
  AddLine("knobs:", FactsOf(log, kKnobPrefix), &text);
  return text;
}

std::string NativePathText(const NativeLog& log) {
  const std::string facts = FactsOf(log, kPathPrefix);
  if (facts.empty()) return "";
  return Wrap(absl::StrCat("The loop's path, ", NativeUnit(log),
                           " from one exit to the next: ", facts, "."),
              2);
}

std::string NativeChecksText(const NativeLog& log) {
  return ChecksOf("checks", log.checks);
}

std::string NativeFieldAccessText(const std::vector<Row>& rows) {
  // Counts, then scenarios in the table's order, each with its modes.
  using Modes = std::vector<std::pair<std::string, std::string>>;
  std::map<std::array<double, 2>, Modes> alike;
  for (const Row& row : rows) {
    const auto reads = row.per_iteration.find("vmreads");
    const auto writes = row.per_iteration.find("vmwrites");
    if (reads == row.per_iteration.end() || writes == row.per_iteration.end()) {
      continue;
    }
    Modes& modes = alike[{reads->second, writes->second}];
    if (modes.empty() || modes.back().first != row.scenario->name) {
      modes.emplace_back(row.scenario->name, "");
    }
    if (!row.mode.has_value()) continue;
    absl::StrAppend(&modes.back().second, " ", GuestModeName(*row.mode));
  }
  if (alike.empty()) return "";
  std::string text = "VMREADs, VMWRITEs an iteration:\n";
  for (const auto& [counts, modes] : alike) {
    std::vector<std::string> names;
    for (const auto& [name, those] : modes) names.push_back(name + those);
    const std::string head =
        absl::StrFormat("  %4g, %4g  ", counts[0], counts[1]);
    absl::StrAppend(&text, Wrap(absl::StrCat(head, absl::StrJoin(names, ", ")),
                                head.size()));
  }
  return text;
}

absl::Status NativeOutputs::Open(const std::string& json,
                                 const std::string& raw,
                                 const std::string& junit) {
  const std::pair<const std::string&, std::optional<OutputFile>&> kFiles[] = {
      {json, json_}, {raw, raw_}, {junit, junit_}};
  for (const auto& [path, file] : kFiles) {
    if (path.empty()) continue;
    absl::StatusOr<OutputFile> opened = OutputFile::Open(path);
    if (!opened.ok()) return opened.status();
    file.emplace(*std::move(opened));
    to_stderr_ = to_stderr_ || path == "-";
  }
  return absl::OkStatus();
}

int NativeOutputs::Show(const NativeLog& log, const std::string& date) {
  if (log.InfoOf("backend").empty()) {
    std::cerr << "worldswitch: the image got no further than its start: see "
                 "its own lines in the log\n";
    return ExitCodeOf(log);
  }
  std::ostream& out = to_stderr_ ? std::cerr : std::cout;
  const Fingerprint machine = FingerprintOf(log);
  SessionResult result;
  result.rows = log.rows;
  result.repetitions_done = log.repetitions;
  const SessionOptions options = OptionsOf(log);
  out << NativeHead(log) << "\n";
  if (!log.rows.empty()) {
    TableContext table;
    table.version = WORLDSWITCH_VERSION;
    table.backend = log.InfoOf("backend");
    table.engine = EngineOf(log);
    table.unit = NativeUnit(log);
    table.options = options;
    table.fingerprint = &machine;
    table.color = !to_stderr_ && isatty(STDOUT_FILENO) == 1;
    out << TableBody(result, table) << NativeFieldAccessText(log.rows);
  }
  const ClauseReport clauses = NativeClauseReport(log, EngineOf(log));
  if (!clauses.results.empty()) out << ClauseReportText(clauses);
  out << NativePathText(log) << NativeChecksText(log) << std::flush;
  int code = ExitCodeOf(log);
  const ResultContext context = {.date = date,
                                 .version = WORLDSWITCH_VERSION,
                                 .backend = log.InfoOf("backend"),
                                 .engine = EngineOf(log),
                                 .unit = NativeUnit(log),
                                 .options = options,
                                 .fingerprint = &machine};
  const auto commit = [&code](std::optional<OutputFile>& file,
                              const std::string& bytes) {
    if (!file.has_value()) return;
    absl::Status written = file->Commit(bytes);
    if (written.ok()) return;
    std::cerr << "worldswitch: " << written.message() << "\n";
    code = kExitFailed;
  };
  if (json_.has_value()) commit(json_, ResultJson(result, context));
  if (raw_.has_value()) commit(raw_, RawCsv(result));
  if (junit_.has_value()) commit(junit_, ClauseReportJUnit(clauses));
  return code;
}

}  // namespace worldswitch
