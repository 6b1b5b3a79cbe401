// What the boot image found, shown as `bench` shows its own results: by the
// same table and the same JSON, with the machine as the image describes it.

#ifndef WORLDSWITCH_CLI_NATIVE_REPORT_H_
#define WORLDSWITCH_CLI_NATIVE_REPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bench/native_log.h"
#include "bench/output_file.h"

namespace worldswitch {

// Where results go besides the table; each is opened before anything runs.
class NativeOutputs {
 public:
  // "" for none; "-" is standard output, and the table goes to standard error.
  absl::Status Open(const std::string& json, const std::string& raw,
                    const std::string& junit);

  // The table, the checks and the files of a log. Returns the exit code: the
  // image's own verdict, or that something could not be written.
  int Show(const NativeLog& log, const std::string& date);

 private:
  std::optional<OutputFile> json_;
  std::optional<OutputFile> raw_;
  std::optional<OutputFile> junit_;
  bool to_stderr_ = false;
};

// "instructions" in a log made in a lab or another emulator, else "ticks".
std::string NativeUnit(const NativeLog& log);

// The machine, by the facts of the log: a line for each kind of fact.
std::string NativeHead(const NativeLog& log);
// What the image counted of the loop itself, without stamps. "": nothing.
std::string NativePathText(const NativeLog& log);
// How many checks passed, and each that did not, with its reason.
// "": there are none.
std::string NativeChecksText(const NativeLog& log);
// VMREADs and VMWRITEs of an iteration, rows alike together. "": not counted.
std::string NativeFieldAccessText(const std::vector<Row>& rows);

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_NATIVE_REPORT_H_
