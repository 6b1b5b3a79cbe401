#include "conformance/clause_report.h"

#include <fnmatch.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/host/wrap.h"

namespace worldswitch {
namespace {

std::string NameOf(const ClauseResult& result) {
  return result.part.empty() ? result.id
                             : absl::StrCat(result.id, " ", result.part);
}

std::string Escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        // XML 1.0 has no place for the others.
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' ? '?' : c;
    }
  }
  return out;
}

// One line of the text report: a clause, its verdict in each mode.
struct Line {
  std::string name;
  std::string summary;
  const char* verdicts[kGuestModeCount] = {};
};

std::vector<Line> Lines(const ClauseReport& report) {
  std::vector<Line> lines;
  for (const ClauseResult& result : report.results) {
    const std::string name = NameOf(result);
    if (lines.empty() || lines.back().name != name) {
      lines.push_back(
          {.name = name, .summary = result.summary, .verdicts = {}});
    }
    lines.back().verdicts[static_cast<std::size_t>(result.mode)] =
        ClauseVerdictName(result.verdict);
  }
  return lines;
}

// Those of one verdict, with the modes that say the same in one entry.
std::string Reasons(const ClauseReport& report, ClauseVerdict verdict) {
  std::vector<std::pair<std::string, std::string>> reasons;  // text, where
  for (const ClauseResult& result : report.results) {
    if (result.verdict != verdict) continue;
    const char* const mode = GuestModeName(result.mode);
    const std::string name = NameOf(result);
    bool known = false;
    for (auto& [text, where] : reasons) {
      if (text != result.text) continue;
      // "CMP.1 io real" and "CMP.1 io ring0" are "CMP.1 io real, ring0".
      const std::string before = absl::StrCat(name, " ");
      const std::size_t last = where.rfind("; ");
      const std::string tail =
          last == std::string::npos ? where : where.substr(last + 2);
      if (tail.rfind(before, 0) == 0) {
        absl::StrAppend(&where, ", ", mode);
      } else {
        absl::StrAppend(&where, "; ", name, " ", mode);
      }
      known = true;
      break;
    }
    if (!known)
      reasons.emplace_back(result.text, absl::StrCat(name, " ", mode));
  }
  std::string out;
  for (const auto& [text, where] : reasons) {
    out += Wrap(absl::StrCat("  ", where, ": ", text), 6);
  }
  return out;
}

}  // namespace

std::size_t ClauseReport::Count(ClauseVerdict verdict) const {
  std::size_t count = 0;
  for (const ClauseResult& result : results) {
    count += result.verdict == verdict ? 1 : 0;
  }
  return count;
}

const char* ClauseVerdictName(ClauseVerdict verdict) {
  switch (verdict) {
    case ClauseVerdict::kPassed:
      return "passed";
    case ClauseVerdict::kFailed:
      return "FAILED";
    case ClauseVerdict::kSkipped:
      return "skipped";
  }
  return "?";
}

bool NamesClause(const std::string& pattern, const std::string& id,
                 const std::string& part) {
  return fnmatch(pattern.c_str(), id.c_str(), 0) == 0 ||
         (!part.empty() &&
          fnmatch(pattern.c_str(), absl::StrCat(id, " ", part).c_str(), 0) ==
              0);
}

std::string ClauseReportText(const ClauseReport& report) {
  std::string out = absl::StrFormat("%-16s %-8s %-8s %-8s %s\n", "clause",
                                    "real", "ring0", "ring3", "what is shown");
  for (const Line& line : Lines(report)) {
    const auto verdict = [&line](GuestMode mode) {
      const char* text = line.verdicts[static_cast<std::size_t>(mode)];
      return text == nullptr ? "-" : text;
    };
    out += absl::StrFormat(
        "%-16s %-8s %-8s %-8s %s\n", line.name, verdict(GuestMode::kReal),
        verdict(GuestMode::kRing0), verdict(GuestMode::kRing3), line.summary);
  }
  if (report.Count(ClauseVerdict::kFailed) > 0) {
    out += "\nfailed:\n" + Reasons(report, ClauseVerdict::kFailed);
  }
  if (report.Count(ClauseVerdict::kSkipped) > 0) {
    out += "\nskipped:\n" + Reasons(report, ClauseVerdict::kSkipped);
  }
  absl::StrAppend(&out, "\n", report.backend, " on ", report.engine, ": ",
                  report.Count(ClauseVerdict::kPassed), " passed, ",
                  report.Count(ClauseVerdict::kFailed), " failed, ",
                  report.Count(ClauseVerdict::kSkipped),
                  " skipped; '-': not defined in that mode\n");
  return out;
}

std::string ClauseReportJUnit(const ClauseReport& report) {
  const std::string suite =
      Escaped(absl::StrCat("conformance.", report.backend, ".", report.engine));
  const std::size_t failed = report.Count(ClauseVerdict::kFailed);
  const std::size_t skipped = report.Count(ClauseVerdict::kSkipped);
  std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  absl::StrAppend(&out, "<testsuites>\n<testsuite name=\"", suite,
                  "\" tests=\"", report.results.size(), "\" failures=\"",
                  failed, "\" errors=\"0\" skipped=\"", skipped, "\">\n");
  for (const ClauseResult& result : report.results) {
    absl::StrAppend(&out, "<testcase classname=\"", suite, "\" name=\"",
                    Escaped(NameOf(result)), " ", GuestModeName(result.mode),
                    "\">");
    if (result.verdict == ClauseVerdict::kFailed) {
      absl::StrAppend(&out, "<failure message=\"", Escaped(result.summary),
                      "\">", Escaped(result.text), "</failure>");
    } else if (result.verdict == ClauseVerdict::kSkipped) {
      absl::StrAppend(&out, "<skipped message=\"", Escaped(result.text),
                      "\"/>");
    }
    out += "</testcase>\n";
  }
  out += "</testsuite>\n</testsuites>\n";
  return out;
}

}  // namespace worldswitch
