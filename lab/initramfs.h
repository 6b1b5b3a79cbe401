// An initramfs: the guest's first file system, as an uncompressed cpio archive
// ("newc"). The same contents give the same bytes.

#ifndef WORLDSWITCH_LAB_INITRAMFS_H_
#define WORLDSWITCH_LAB_INITRAMFS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace worldswitch {

class Initramfs {
 public:
  // path: absolute in the guest. Directories above it come of themselves; a
  // second file of a path replaces the first.
  void AddFile(absl::string_view path, std::string bytes, bool executable);
  void AddDirectory(absl::string_view path);
  bool Has(absl::string_view path) const;
  // Reads a file of the host. Errors name it.
  absl::Status AddHostFile(absl::string_view path, const std::string& host_path,
                           bool executable);

  // Writes the archive. A full disk is said so.
  absl::Status Write(const std::string& path) const;

 private:
  struct Entry {
    std::string bytes;
    bool directory = false;
    bool executable = false;
  };
  // By path without the leading slash, so that a directory comes before what
  // is in it.
  std::map<std::string, Entry> entries_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_INITRAMFS_H_
