#include "bench/native_words.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace worldswitch {

absl::Status BadLine(absl::string_view what) {
  return absl::InvalidArgumentError(what);
}

absl::StatusOr<std::int64_t> NativeInteger(absl::string_view word,
                                           std::int64_t least,
                                           std::int64_t most) {
  std::int64_t value = 0;
  if (!absl::SimpleAtoi(word, &value)) {
    return BadLine(absl::StrCat("'", word, "' is no number"));
  }
  if (value < least || value > most) {
    return BadLine(
        absl::StrCat(word, " is out of range (", least, " to ", most, ")"));
  }
  return value;
}

}  // namespace worldswitch
