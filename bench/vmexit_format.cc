#include "bench/vmexit_format.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "bench/summary.h"

namespace worldswitch {
namespace {

bool HasCounterpart(const Row& row) {
  return row.scenario->vmexit_test != nullptr && row.mode == GuestMode::kRing0;
}

std::string WhyNoFigure(const Row& row) {
  std::string why = VerdictName(row.verdict);
  const std::string& said = row.why.empty() ? row.evidence : row.why;
  if (!said.empty()) absl::StrAppend(&why, ": ", said);
  return why;
}

}  // namespace

VmexitText VmexitFormat(const std::vector<Row>& rows) {
  VmexitText text;
  for (const Row& row : rows) {
    if (!HasCounterpart(row)) continue;
    const char* const name = row.scenario->vmexit_test;
    if (row.verdict == Verdict::kProven && row.has_figures()) {
      const Summary summary = Summarize(row);
      if (summary.batch.has_value()) {
        absl::StrAppend(&text.lines, name, " ", std::llround(*summary.batch),
                        "\n");
        continue;
      }
    }
    absl::StrAppend(&text.notes, name, ": no figure: ", WhyNoFigure(row), " (",
                    row.Name(), ")\n");
  }
  return text;
}

void KeepVmexitRows(std::vector<Row>* rows) {
  std::erase_if(*rows, [](const Row& row) { return !HasCounterpart(row); });
}

}  // namespace worldswitch
