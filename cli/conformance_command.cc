#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "backends/scripted/scripted_backend.h"
#include "bench/output_file.h"
#include "bench/session.h"
#include "cli/backends.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/failure.h"
#include "conformance/clause_report.h"
#include "conformance/clauses.h"
#include "conformance/hosted_clause_host.h"

namespace worldswitch {
namespace {

struct ConformanceArguments {
  std::string backend = "auto";
  std::vector<std::string> clauses;
  std::string mode = "all";
  std::vector<std::string> knobs;
  std::string junit;
};

bool IsAsked(const Clause& clause, const std::vector<std::string>& patterns) {
  if (patterns.empty()) return true;
  for (const std::string& pattern : patterns) {
    if (NamesClause(pattern, clause.id, clause.part)) return true;
  }
  return false;
}

// Every pattern names something; else what there is.
absl::Status CheckPatterns(const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    bool found = false;
    std::string ids;
    std::string last;
    for (const Clause& clause : AllClauses()) {
      found = found || NamesClause(pattern, clause.id, clause.part);
      if (last == clause.id) continue;
      last = clause.id;
      absl::StrAppend(&ids, ids.empty() ? "" : " ", last);
    }
    if (found) continue;
    return absl::NotFoundError(
        absl::StrCat("--clause ", pattern, " names no clause; there are ", ids,
                     " (core/vcpu_ops.h says what each one asks)"));
  }
  return absl::OkStatus();
}

// A script is no guest: nearly all clauses are beyond it, and RUN.6 is beyond
// everything else.
constexpr char kShownByScript[] = "RUN.6";

absl::StatusOr<std::unique_ptr<Vm>> ScriptOfUnknownExit(std::uint64_t raw) {
  return MakeScriptedBackend(Script().Unknown(raw).Hlt())->CreateVm({});
}

ClauseOutcome Skipped(const char* why) {
  ClauseOutcome outcome;
  outcome.verdict = ClauseVerdict::kSkipped;
  outcome.text.Append(why);
  return outcome;
}

ClauseReport RunClauses(Backend& backend, const ConformanceArguments& arguments,
                        const KnobSettings& knobs) {
  const bool is_script = backend.engine() == "none";
  HostedClauseHost host(backend, knobs,
                        is_script ? ScriptOfUnknownExit : nullptr);
  ClauseReport report;
  report.backend = backend.name();
  report.engine = backend.engine();
  for (const Clause& clause : AllClauses()) {
    if (!IsAsked(clause, arguments.clauses)) continue;
    for (int i = 0; i < kGuestModeCount; ++i) {
      const auto mode = static_cast<GuestMode>(i);
      if ((clause.modes & ModeBit(mode)) == 0 ||
          (arguments.mode != "all" && arguments.mode != GuestModeName(mode))) {
        continue;
      }
      const ClauseOutcome outcome =
          is_script && clause.id != absl::string_view(kShownByScript)
              ? Skipped("a backend without a machine runs no guest")
              : RunClause(clause, host, mode);
      report.results.push_back({.id = clause.id,
                                .part = clause.part,
                                .summary = clause.summary.c_str(),
                                .mode = mode,
                                .verdict = outcome.verdict,
                                .text = outcome.text.c_str()});
    }
  }
  return report;
}

int RunConformance(const ConformanceArguments& arguments) {
  KnobSettings knobs;
  for (const std::string& knob : arguments.knobs) {
    const absl::Status parsed = ParseKnobSetting(knob, &knobs);
    if (!parsed.ok()) return Fail(parsed, kExitUsage);
  }
  const absl::Status patterns = CheckPatterns(arguments.clauses);
  if (!patterns.ok()) return Fail(patterns, kExitUsage);
  std::optional<OutputFile> junit;
  if (!arguments.junit.empty()) {
    absl::StatusOr<OutputFile> opened = OutputFile::Open(arguments.junit);
    if (!opened.ok()) return Fail(opened.status(), kExitUsage);
    junit.emplace(*std::move(opened));
  }
  int code = kExitOk;
  const std::unique_ptr<Backend> backend =
      OpenBackend(arguments.backend, &code);
  if (backend == nullptr) return code;
  const absl::Status settable = backend->knobs().Check(knobs);
  if (!settable.ok()) return Fail(settable, kExitUsage);
  const ClauseReport report = RunClauses(*backend, arguments, knobs);
  // JUnit on standard output is alone there.
  (arguments.junit == "-" ? std::cerr : std::cout) << ClauseReportText(report);
  if (junit.has_value()) {
    const absl::Status written = junit->Commit(ClauseReportJUnit(report));
    if (!written.ok()) return Fail(written, kExitFailed);
  }
  return report.Count(ClauseVerdict::kFailed) == 0 ? kExitOk : kExitFailed;
}

}  // namespace

void AddConformanceCommand(CLI::App& app, const ChooseCommand& choose) {
  auto arguments = std::make_shared<ConformanceArguments>();
  CLI::App* command = app.add_subcommand(
      "conformance",
      "Hold a backend to the contract of core/vcpu_ops.h, clause by clause:\n"
      "passed, failed with what was seen, or skipped with why.");
  command->add_option("--backend", arguments->backend,
                      "NAME[:KEY=VALUE,...]; auto: by the engine");
  command->add_option("--clause", arguments->clauses,
                      "only this one ('RUN.1', 'CMP.1 io', 'INJ.*')");
  command->add_option("--mode", arguments->mode, "of the guest")
      ->check(CLI::IsMember({"real", "ring0", "ring3", "all"}));
  command->add_option("--knob", arguments->knobs, "NAME=VALUE, for every VM");
  command->add_option("--junit", arguments->junit,
                      "also as JUnit XML, to this file ('-': to standard "
                      "output)");
  command->callback([arguments, choose] {
    choose([arguments] { return RunConformance(*arguments); });
  });
}

}  // namespace worldswitch
