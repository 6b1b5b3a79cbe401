// What each exit costs in each of several labs, as a table in Markdown: the one
// of docs/exit-path.md.

#ifndef WORLDSWITCH_LAB_EXIT_PATH_TABLE_H_
#define WORLDSWITCH_LAB_EXIT_PATH_TABLE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace worldswitch {

// Of results of `bench --json` made in labs: the labs first, then a row for
// each of the first result's that has a figure in any of them, with the median
// round trip in instructions. Of `no exit`, the count is in parentheses; of
// what is neither proven nor that, the verdict stands for it. InvalidArgument:
// a result that does not count instructions; none at all.
absl::StatusOr<std::string> ExitPathTable(
    const std::vector<std::string>& results);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_EXIT_PATH_TABLE_H_
