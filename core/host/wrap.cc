#include "core/host/wrap.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace worldswitch {

std::string Wrap(const std::string& text, std::size_t indent) {
  const std::string margin(indent, ' ');
  std::string result;
  std::string line;
  bool begun = false;
  for (const absl::string_view word : absl::StrSplit(text, ' ')) {
    if (begun && line.size() + 1 + word.size() > kTableColumns) {
      absl::StrAppend(&result, line, "\n");
      line = absl::StrCat(margin, word);
    } else {
      absl::StrAppend(&line, begun ? " " : "", word);
    }
    begun = true;
  }
  return absl::StrCat(result, line, "\n");
}

}  // namespace worldswitch
