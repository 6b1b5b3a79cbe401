#include "core/host/errno_status.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace worldswitch {

std::string ErrnoName(int error_number) {
  // Both are thread-safe and never translated, unlike strerror.
  const char* name = strerrorname_np(error_number);
  const char* description = strerrordesc_np(error_number);
  if (name == nullptr || description == nullptr) {
    return absl::StrCat("errno ", error_number);
  }
  return absl::StrCat(name, " (", description, ")");
}

absl::Status ErrnoStatus(int error_number, absl::string_view attempted,
                         absl::string_view remedy) {
  std::string message =
      absl::StrCat(attempted, " failed: ", ErrnoName(error_number));
  if (!remedy.empty()) absl::StrAppend(&message, ". ", remedy);
  // A failure without an errno is a failure still: never an Ok status.
  const absl::StatusCode code = error_number == 0
                                    ? absl::StatusCode::kUnknown
                                    : absl::ErrnoToStatusCode(error_number);
  return absl::Status(code, message);
}

}  // namespace worldswitch
