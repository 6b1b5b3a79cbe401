#include "bench/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/host/errno_status.h"

namespace worldswitch {
namespace {

constexpr char kStandardOutput[] = "-";

absl::Status WriteAll(int fd, const std::string& text,
                      const std::string& path) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t now = write(fd, text.data() + written, text.size() - written);
    if (now < 0) {
      if (errno == EINTR) continue;
      return ErrnoStatus(errno, absl::StrCat("writing ", path));
    }
    written += static_cast<std::size_t>(now);
  }
  return absl::OkStatus();
}

}  // namespace

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")),
      fd_(std::exchange(other.fd_, -1)) {}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(temporary_, other.temporary_);
  std::swap(fd_, other.fd_);
  return *this;
}

OutputFile::~OutputFile() {
  if (fd_ >= 0 && fd_ != STDOUT_FILENO) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::StatusOr<OutputFile> OutputFile::Open(const std::string& path) {
  OutputFile file;
  file.path_ = path;
  if (path == kStandardOutput) {
    file.fd_ = STDOUT_FILENO;
    return file;
  }
  const char remedy[] = "give a path in a folder you may write to";
  struct stat existing = {};
  if (stat(path.c_str(), &existing) == 0 && !S_ISREG(existing.st_mode)) {
    // A device or pipe is written in place: it cannot be renamed over.
    file.fd_ = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file.fd_ < 0) {
      return ErrnoStatus(errno, absl::StrCat("opening ", path), remedy);
    }
    return file;
  }
  std::string pattern = absl::StrCat(path, ".XXXXXX");
  file.fd_ = mkostemp(pattern.data(), O_CLOEXEC);
  if (file.fd_ < 0) {
    return ErrnoStatus(errno, absl::StrCat("creating ", path), remedy);
  }
  file.temporary_ = pattern;
  constexpr mode_t kMode = 0644;
  if (fchmod(file.fd_, kMode) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod of ", pattern), remedy);
  }
  return file;
}

absl::Status OutputFile::Commit(const std::string& text) {
  if (fd_ < 0) return absl::FailedPreconditionError("no file is open");
  absl::Status written = WriteAll(fd_, text, path_);
  if (!written.ok()) return written;
  if (temporary_.empty()) return absl::OkStatus();
  if (close(std::exchange(fd_, -1)) != 0) {
    return ErrnoStatus(errno, absl::StrCat("closing ", temporary_));
  }
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    return ErrnoStatus(errno,
                       absl::StrCat("renaming ", temporary_, " to ", path_));
  }
  temporary_.clear();
  return absl::OkStatus();
}

}  // namespace worldswitch
