#include "lab/temporary_directory.h"

#include <stdlib.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

}  // namespace

absl::StatusOr<TemporaryDirectory> TemporaryDirectory::Make(
    const std::string& where) {
  std::string parent = where;
  if (parent.empty()) {
    const char* told = std::getenv("TMPDIR");
    parent = told != nullptr && *told != '\0' ? told : "/tmp";
  }
  std::string pattern = absl::StrCat(parent, "/worldswitch-lab-XXXXXX");
  if (mkdtemp(pattern.data()) == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("making a directory in ", parent),
                       "set TMPDIR to a directory you may write to");
  }
  return TemporaryDirectory(pattern);
}

TemporaryDirectory::TemporaryDirectory(TemporaryDirectory&& other) noexcept
    : path_(std::exchange(other.path_, "")) {}

TemporaryDirectory& TemporaryDirectory::operator=(
    TemporaryDirectory&& other) noexcept {
  std::swap(path_, other.path_);
  return *this;
}

TemporaryDirectory::~TemporaryDirectory() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  const File file(std::fopen(path.c_str(), "rbe"), &std::fclose);
  if (file == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("opening ", path));
  }
  std::string bytes;
  char buffer[65536];
  for (;;) {
    const std::size_t count = std::fread(buffer, 1, sizeof(buffer), file.get());
    bytes.append(buffer, count);
    if (count < sizeof(buffer)) break;
  }
  if (std::ferror(file.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("reading ", path));
  }
  return bytes;
}

absl::Status WriteWholeFile(const std::string& path, const std::string& bytes) {
  const char remedy[] = "make room there, or set TMPDIR to another disk";
  File file(std::fopen(path.c_str(), "wbe"), &std::fclose);
  if (file == nullptr) {
    return ErrnoStatus(errno, absl::StrCat("creating ", path), remedy);
  }
  if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size() ||
      std::fflush(file.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("writing ", path), remedy);
  }
  if (std::fclose(file.release()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("closing ", path), remedy);
  }
  return absl::OkStatus();
}

}  // namespace worldswitch
