// A directory of one lab run, gone with everything in it when the run is over.

#ifndef WORLDSWITCH_LAB_TEMPORARY_DIRECTORY_H_
#define WORLDSWITCH_LAB_TEMPORARY_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace worldswitch {

class TemporaryDirectory {
 public:
  // In `where`, or where that is empty in $TMPDIR, or /tmp.
  static absl::StatusOr<TemporaryDirectory> Make(const std::string& where = "");
  TemporaryDirectory(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory& operator=(TemporaryDirectory&& other) noexcept;
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// The whole of a file. Errors name the path and the errno.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);
// Writes a file whole; what was there is replaced. A full disk is said so.
absl::Status WriteWholeFile(const std::string& path, const std::string& bytes);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_TEMPORARY_DIRECTORY_H_
