#include "lab/guest_program.h"

#include <chrono>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace worldswitch {
namespace {

constexpr std::chrono::seconds kLimit(60);

bool IsStatic(const absl::Status& status) {
  return absl::StrContains(status.message(), "not a dynamic executable");
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ParseLdd(absl::string_view text) {
  std::vector<std::string> paths;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    // "name => path (address)", "path (address)", "linux-vdso.so.1 (address)".
    absl::string_view path = absl::StripAsciiWhitespace(line);
    const std::size_t arrow = path.find(" => ");
    if (arrow != absl::string_view::npos) path = path.substr(arrow + 4);
    if (absl::StartsWith(path, "not found")) {
      return absl::NotFoundError(absl::StrCat(
          "ldd does not find ",
          absl::StripAsciiWhitespace(line.substr(0, line.find(" => ")))));
    }
    path = path.substr(0, path.find(" ("));
    if (absl::StartsWith(path, "/")) paths.emplace_back(path);
  }
  return paths;
}

absl::Status AddGuestProgram(const std::string& program,
                             const std::string& guest_path,
                             const std::string& scratch, const StopFlag& stop,
                             Initramfs* initramfs) {
  absl::StatusOr<std::string> text =
      RunTool({"ldd", program}, "", kLimit, stop);
  if (!text.ok() && !IsStatic(text.status())) return text.status();
  absl::StatusOr<std::vector<std::string>> libraries =
      ParseLdd(text.ok() ? *text : "");
  if (!libraries.ok()) return libraries.status();
  for (const std::string& library : *libraries) {
    absl::Status added = initramfs->AddHostFile(library, library, true);
    if (!added.ok()) return added;
  }
  // Ten times smaller, so that much sooner unpacked by the guest. Without
  // binutils it goes in as it is.
  const std::string stripped = scratch + "/stripped";
  absl::StatusOr<std::string> done = RunTool(
      {"strip", "--strip-debug", "-o", stripped, program}, "", kLimit, stop);
  if (absl::IsCancelled(done.status())) return done.status();
  return initramfs->AddHostFile(guest_path, done.ok() ? stripped : program,
                                true);
}

}  // namespace worldswitch
