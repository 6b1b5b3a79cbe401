#include "core/host/suggest.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace worldswitch {
namespace {

// Letters to insert, delete or replace to make one of the other.
std::size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string NearestName(absl::string_view name,
                        const std::vector<std::string>& known) {
  std::string nearest;
  std::size_t best = (name.size() + 2) / 3 + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = EditDistance(name, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string KnownNames(absl::string_view name,
                       const std::vector<std::string>& known) {
  if (known.empty()) return "; there are none";
  const std::string nearest = NearestName(name, known);
  return absl::StrCat(
      nearest.empty() ? "." : absl::StrCat("; did you mean \"", nearest, "\"?"),
      " Known: ", absl::StrJoin(known, ", "));
}

}  // namespace worldswitch
