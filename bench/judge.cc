#include "bench/judge.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace worldswitch {

std::uint8_t FlagsOf(const NoiseDelta& delta) {
  unsigned flags = 0;
  if (delta.voluntary_switches.value_or(0) > 0 ||
      delta.involuntary_switches.value_or(0) > 0) {
    flags |= kSwitchInBlock;
  }
  if (delta.other_interrupts.value_or(0) > 0) flags |= kIrqInBlock;
  if (delta.timer_interrupts.value_or(0) > 0) flags |= kTimerInBlock;
  if (delta.minor_faults.value_or(0) > 0 ||
      delta.major_faults.value_or(0) > 0) {
    flags |= kFaultInBlock;
  }
  return static_cast<std::uint8_t>(flags);
}

void Judge(Row& row, Verdict verdict, const std::string& why,
           const std::string& evidence) {
  const bool first = row.verdict == Verdict::kPending;
  if (!first && row.verdict != verdict) {
    row.verdict = Verdict::kUnproven;
    row.why = absl::StrCat("repetitions disagree: ", row.evidence, "; then ",
                           evidence);
    return;
  }
  if (first) {
    row.verdict = verdict;
    row.why = why;
    row.evidence = evidence.empty() ? why : evidence;
  }
}

void Refuse(Row& row, Verdict verdict, std::string why) {
  row.verdict = verdict;
  row.why = std::move(why);
}

}  // namespace worldswitch
