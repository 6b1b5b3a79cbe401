#include "cli/native_clauses.h"

#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "conformance/clauses.h"

namespace worldswitch {
namespace {

ClauseVerdict VerdictOf(NativeCheck::Verdict verdict) {
  switch (verdict) {
    case NativeCheck::Verdict::kPassed:
      return ClauseVerdict::kPassed;
    case NativeCheck::Verdict::kSkipped:
      return ClauseVerdict::kSkipped;
    case NativeCheck::Verdict::kFailed:
    case NativeCheck::Verdict::kDeviates:
      break;
  }
  return ClauseVerdict::kFailed;
}

GuestMode ModeOf(const std::string& name) {
  for (const GuestMode mode : {GuestMode::kRing0, GuestMode::kRing3}) {
    if (name == GuestModeName(mode)) return mode;
  }
  return GuestMode::kReal;
}

std::string SummaryOf(const std::string& id, const std::string& part) {
  for (const Clause& clause : AllClauses()) {
    if (id == clause.id && part == clause.part) return clause.summary.c_str();
  }
  return "";
}

}  // namespace

ClauseReport NativeClauseReport(const NativeLog& log, std::string engine) {
  ClauseReport report = {.backend = log.InfoOf("backend"),
                         .engine = std::move(engine),
                         .results = {}};
  for (const NativeCheck& check : log.clauses) {
    // "ID MODE" or "ID PART MODE".
    const std::vector<std::string> words = absl::StrSplit(check.name, ' ');
    ClauseResult result;
    result.id = words.front();
    if (words.size() > 2) result.part = words[1];
    result.summary = SummaryOf(result.id, result.part);
    result.mode = ModeOf(words.back());
    result.verdict = VerdictOf(check.verdict);
    result.text = check.text;
    report.results.push_back(std::move(result));
  }
  return report;
}

}  // namespace worldswitch
