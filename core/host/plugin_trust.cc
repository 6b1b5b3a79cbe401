#include "core/host/plugin_trust.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

namespace fs = std::filesystem;

// may_be_sticky: a folder everybody writes to will do if it is sticky.
absl::Status CheckOne(const std::string& path, bool may_be_sticky) {
  struct stat found = {};
  if (lstat(path.c_str(), &found) != 0) {
    return ErrnoStatus(errno, absl::StrCat("looking at ", path));
  }
  if (found.st_uid != 0) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "%s belongs to user %d, and this is root: its plugins are not run (as "
        "root: chown root %s)",
        path, found.st_uid, path));
  }
  const bool others_write = (found.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  if (!others_write) return absl::OkStatus();
  if (may_be_sticky && (found.st_mode & S_ISVTX) != 0) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrFormat(
      "%s can be written to by others than root (mode %04o), and this is root: "
      "its plugins are not run (chmod go-w %s)",
      path, found.st_mode & 07777, path));
}

}  // namespace

absl::Status CheckPluginTrust(const std::string& path, bool is_root) {
  if (!is_root) return absl::OkStatus();
  fs::path each(path);
  std::error_code ignored;
  // A file's folder has to be as good as the file.
  const int strict = fs::is_directory(each, ignored) ? 0 : 1;
  for (int above = 0;; ++above) {
    absl::Status checked = CheckOne(each.string(), above > strict);
    if (!checked.ok()) return checked;
    const fs::path parent = each.parent_path();
    if (parent == each || parent.empty()) return absl::OkStatus();
    each = parent;
  }
}

bool RunsAsRoot() { return geteuid() == 0; }

}  // namespace worldswitch
