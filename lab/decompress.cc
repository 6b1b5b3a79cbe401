#include "lab/decompress.h"

#include <archive.h>
#include <archive_entry.h>

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"

namespace worldswitch {
namespace {

using Reader = std::unique_ptr<archive, int (*)(archive*)>;

absl::Status Trouble(archive* reader) {
  const char* text = archive_error_string(reader);
  return absl::DataLossError(absl::StrCat(
      "cannot decompress: ", text == nullptr ? "no such format" : text));
}

}  // namespace

absl::StatusOr<std::string> Decompress(absl::string_view bytes) {
  if (bytes.empty()) return std::string();
  const Reader reader(archive_read_new(), &archive_read_free);
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_entry* entry = nullptr;
  if (archive_read_open_memory(reader.get(), bytes.data(), bytes.size()) !=
          ARCHIVE_OK ||
      archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) {
    return Trouble(reader.get());
  }
  std::string whole;
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const la_ssize_t count =
        archive_read_data(reader.get(), buffer.data(), buffer.size());
    if (count < 0) return Trouble(reader.get());
    if (count == 0) return whole;
    whole.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace worldswitch
