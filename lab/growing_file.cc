#include "lab/growing_file.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace worldswitch {

GrowingFile::~GrowingFile() {
  if (fd_ >= 0) close(fd_);
}

std::string GrowingFile::Read() {
  // The emulator makes it, some time.
  if (fd_ < 0) fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) return "";
  std::string bytes(1 << 16, '\0');
  const ssize_t count = read(fd_, bytes.data(), bytes.size());
  bytes.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return bytes;
}

std::string FullDisk(const std::string& path) {
  struct statvfs disk = {};
  if (statvfs(path.c_str(), &disk) != 0 || disk.f_bavail != 0) return "";
  return absl::StrCat(": the disk is full (",
                      std::filesystem::path(path).parent_path().string(),
                      "); make room, or set TMPDIR to another one");
}

}  // namespace worldswitch
