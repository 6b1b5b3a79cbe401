// The clauses of a native log as the report that `conformance` shows.

#ifndef WORLDSWITCH_CLI_NATIVE_CLAUSES_H_
#define WORLDSWITCH_CLI_NATIVE_CLAUSES_H_

#include <string>

#include "bench/native_log.h"
#include "conformance/clause_report.h"

namespace worldswitch {

// Without results where the log has no clauses. A clause that this program does
// not know, of another version's image, stands there without its summary.
ClauseReport NativeClauseReport(const NativeLog& log, std::string engine);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_NATIVE_CLAUSES_H_
