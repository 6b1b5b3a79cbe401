#include "lab/initramfs.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "lab/temporary_directory.h"

namespace worldswitch {
namespace {

using Writer = std::unique_ptr<archive, int (*)(archive*)>;
using Header = std::unique_ptr<archive_entry, void (*)(archive_entry*)>;

std::string Relative(absl::string_view path) {
  while (absl::ConsumePrefix(&path, "/")) {
  }
  while (absl::ConsumeSuffix(&path, "/")) {
  }
  return std::string(path);
}

absl::Status Trouble(archive* writer, const std::string& path) {
  const char* text = archive_error_string(writer);
  return absl::ResourceExhaustedError(absl::StrCat(
      "writing ", path, ": ", text == nullptr ? "unknown error" : text,
      "; make room there, or set TMPDIR to another disk"));
}

}  // namespace

void Initramfs::AddDirectory(absl::string_view path) {
  const std::string name = Relative(path);
  for (std::size_t end = name.find('/'); !name.empty();
       end = name.find('/', end + 1)) {
    Entry& entry = entries_[name.substr(0, end)];
    if (entry.bytes.empty()) entry.directory = true;
    if (end == std::string::npos) break;
  }
}

void Initramfs::AddFile(absl::string_view path, std::string bytes,
                        bool executable) {
  const std::string name = Relative(path);
  const std::size_t slash = name.rfind('/');
  if (slash != std::string::npos) AddDirectory(name.substr(0, slash));
  entries_[name] = {std::move(bytes), false, executable};
}

bool Initramfs::Has(absl::string_view path) const {
  return entries_.contains(Relative(path));
}

absl::Status Initramfs::AddHostFile(absl::string_view path,
                                    const std::string& host_path,
                                    bool executable) {
  absl::StatusOr<std::string> bytes = ReadWholeFile(host_path);
  if (!bytes.ok()) return bytes.status();
  AddFile(path, *std::move(bytes), executable);
  return absl::OkStatus();
}

absl::Status Initramfs::Write(const std::string& path) const {
  const Writer writer(archive_write_new(), &archive_write_free);
  archive_write_set_format_cpio_newc(writer.get());
  if (archive_write_open_filename(writer.get(), path.c_str()) != ARCHIVE_OK) {
    return Trouble(writer.get(), path);
  }
  la_int64_t inode = 1;
  for (const auto& [name, entry] : entries_) {
    const Header header(archive_entry_new(), &archive_entry_free);
    archive_entry_set_pathname(header.get(), name.c_str());
    archive_entry_set_ino(header.get(), inode++);
    archive_entry_set_nlink(header.get(), entry.directory ? 2 : 1);
    archive_entry_set_mtime(header.get(), 0, 0);
    archive_entry_set_filetype(header.get(),
                               entry.directory ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(header.get(),
                           entry.directory || entry.executable ? 0755 : 0644);
    archive_entry_set_size(header.get(),
                           static_cast<la_int64_t>(entry.bytes.size()));
    if (archive_write_header(writer.get(), header.get()) != ARCHIVE_OK ||
        archive_write_data(writer.get(), entry.bytes.data(),
                           entry.bytes.size()) !=
            static_cast<la_ssize_t>(entry.bytes.size())) {
      return Trouble(writer.get(), path);
    }
  }
  if (archive_write_close(writer.get()) != ARCHIVE_OK) {
    return Trouble(writer.get(), path);
  }
  return absl::OkStatus();
}

}  // namespace worldswitch
