// exit_path_table RESULT.json...: the table of docs/exit-path.md, of results of
// `worldswitch lab ... -- bench --json`. With --side-by-side, the results are
// pairs, KVM.json NATIVE.json, and it is the table of README.md that sets what
// KVM adds beside the switch itself (side_by_side.h). Exit code: 0 done, 2 what
// it was given is no such result.

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "lab/exit_path_table.h"
#include "lab/side_by_side.h"

namespace {

int PrintScenarios(bool native) {
  for (const worldswitch::ComparedExit& exit : worldswitch::ComparedExits()) {
    for (const char* name :
         {native ? exit.native : exit.kernel, native ? "" : exit.user}) {
      if (*name != '\0') std::printf("--scenario %s\n", name);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string(argv[1]) == "--scenarios") {
    return PrintScenarios(std::string(argv[2]) == "native");
  }
  std::vector<std::string> results;
  bool side_by_side = false;
  for (int i = 1; i < argc; ++i) {
    if (i == 1 && std::string(argv[i]) == "--side-by-side") {
      side_by_side = true;
      continue;
    }
    std::ifstream file(argv[i]);
    if (!file) {
      std::fprintf(stderr, "exit_path_table: cannot read %s\n", argv[i]);
      return 2;
    }
    results.emplace_back(std::istreambuf_iterator<char>(file),
                         std::istreambuf_iterator<char>());
  }
  const absl::StatusOr<std::string> table =
      side_by_side ? worldswitch::SideBySide(results)
                   : worldswitch::ExitPathTable(results);
  if (!table.ok()) {
    std::fprintf(stderr,
                 "exit_path_table: %s\nUsage: exit_path_table RESULT.json...\n"
                 "       exit_path_table --side-by-side KVM.json "
                 "NATIVE.json...\n",
                 table.status().ToString().c_str());
    return 2;
  }
  std::fputs(table->c_str(), stdout);
  return 0;
}
