// exit_path_table RESULT.json...: the table of docs/exit-path.md, of results of
// `worldswitch lab ... -- bench --json`. Exit code: 0 done, 2 what it was given
// is no such result.

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "lab/exit_path_table.h"

int main(int argc, char** argv) {
  std::vector<std::string> results;
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i]);
    if (!file) {
      std::fprintf(stderr, "exit_path_table: cannot read %s\n", argv[i]);
      return 2;
    }
    results.emplace_back(std::istreambuf_iterator<char>(file),
                         std::istreambuf_iterator<char>());
  }
  const absl::StatusOr<std::string> table = worldswitch::ExitPathTable(results);
  if (!table.ok()) {
    std::fprintf(stderr,
                 "exit_path_table: %s\nUsage: exit_path_table RESULT.json...\n",
                 table.status().ToString().c_str());
    return 2;
  }
  std::fputs(table->c_str(), stdout);
  return 0;
}
