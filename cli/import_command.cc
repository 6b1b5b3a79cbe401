#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/native_log.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/native_report.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

struct ImportArguments {
  std::string log;
  std::string json;
  std::string raw;
  std::string junit;
};

absl::StatusOr<std::string> ReadLog(const std::string& path) {
  if (path != "-") return ReadWholeFile(path);
  return std::string(std::istreambuf_iterator<char>(std::cin), {});
}

int RunImport(const ImportArguments& arguments) {
  NativeOutputs outputs;
  absl::Status opened =
      outputs.Open(arguments.json, arguments.raw, arguments.junit);
  if (!opened.ok()) {
    std::cerr << "worldswitch: " << opened.message() << "\n";
    return kExitUsage;
  }
  absl::StatusOr<std::string> text = ReadLog(arguments.log);
  if (!text.ok()) {
    std::cerr << "worldswitch: " << text.status().message() << "\n";
    return kExitUsage;
  }
  NativeLog log;
  const absl::Status read = ReadNativeLog(*text, &log);
  if (!read.ok()) {
    std::cerr << "worldswitch: " << arguments.log << ": " << read.message()
              << "\n";
    // What a cut log has whole is good.
    if (!absl::IsDataLoss(read)) return kExitUsage;
  }
  const std::string date = log.InfoOf("lab.date");
  return outputs.Show(
      log, date.empty() ? absl::FormatTime(absl::RFC3339_sec, absl::Now(),
                                           absl::LocalTimeZone())
                        : date);
}

}  // namespace

void AddImportCommand(CLI::App& app, const ChooseCommand& choose) {
  auto arguments = std::make_shared<ImportArguments>();
  CLI::App* import = app.add_subcommand(
      "import",
      "Show the serial log of worldswitch-native, as a real machine or a lab "
      "gave it\n(lab ... --log FILE): the same table, verdicts and JSON as of "
      "'bench'.");
  import->add_option("log", arguments->log, "a file; '-' is standard input")
      ->type_name("LOG")
      ->required();
  import
      ->add_option("--json", arguments->json,
                   "write Google Benchmark JSON; '-' is standard output")
      ->type_name("FILE");
  import
      ->add_option("--raw", arguments->raw,
                   "write every sample as CSV; '-' is standard output")
      ->type_name("FILE");
  import
      ->add_option("--junit", arguments->junit,
                   "write the clauses as JUnit XML; '-' is standard output")
      ->type_name("FILE");
  import->callback([arguments, choose] {
    choose([arguments] { return RunImport(*arguments);
});
}  // namespace worldswitch
);
}

}  // namespace worldswitch
