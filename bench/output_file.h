// Results go into a file whole or not at all, and whether they can is known
// before the run that makes them.

#ifndef WORLDSWITCH_BENCH_OUTPUT_FILE_H_
#define WORLDSWITCH_BENCH_OUTPUT_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace worldswitch {

// A file that is known to be writable before the run, and is written whole or
// not at all: into a temporary beside it, then renamed. "-" is standard output.
class OutputFile {
 public:
  OutputFile() = default;
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  // Removes the temporary if Commit was not called.
  ~OutputFile();

  // Errors name the path and the errno; nothing is left behind.
  static absl::StatusOr<OutputFile> Open(const std::string& path);
  // Once. On an error the file that was there before is untouched.
  absl::Status Commit(const std::string& text);

 private:
  std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_OUTPUT_FILE_H_
