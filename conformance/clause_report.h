// What the clauses said of one backend, for people and for machines: the same
// report whether they ran on this host, in a lab or in ring 0.

#ifndef WORLDSWITCH_CONFORMANCE_CLAUSE_REPORT_H_
#define WORLDSWITCH_CONFORMANCE_CLAUSE_REPORT_H_

#include <cstddef>
#include <string>
#include <vector>

#include "conformance/clauses.h"
#include "guests/guests.h"

namespace worldswitch {

struct ClauseResult {
  std::string id;    // "CMP.1"
  std::string part;  // "io"; "" where the clause has one check only
  std::string summary;
  GuestMode mode = GuestMode::kReal;
  ClauseVerdict verdict = ClauseVerdict::kPassed;
  std::string text;  // kFailed: what was seen; kSkipped: why
};

struct ClauseReport {
  std::string backend;
  std::string engine;  // what stands behind it, as its results name it
  std::vector<ClauseResult> results;

  std::size_t Count(ClauseVerdict verdict) const;
};

const char* ClauseVerdictName(ClauseVerdict verdict);  // "passed"

// "CMP.1" and "CMP.1 io" name a clause, "CMP.*" a group.
bool NamesClause(const std::string& pattern, const std::string& id,
                 const std::string& part);

// A line for each clause with its verdict in every mode, then each failure with
// what was seen, and each skip with why. At most 100 columns.
std::string ClauseReportText(const ClauseReport& report);

// JUnit's XML, a test case for each clause and mode.
std::string ClauseReportJUnit(const ClauseReport& report);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CONFORMANCE_CLAUSE_REPORT_H_
