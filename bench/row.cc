#include "bench/row.h"

#include "absl/strings/str_cat.h"

namespace worldswitch {

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPending:
      return "pending";
    case Verdict::kProven:
      return "proven";
    case Verdict::kNoExit:
      return "no exit";
    case Verdict::kUnproven:
      return "unproven";
    case Verdict::kUnsupported:
      return "unsupported";
    case Verdict::kHangs:
      return "hangs here";
  }
  return "(no such verdict)";
}

const char* SampleFlagName(int bit) {
  static const char* const kNames[kSampleFlagCount] = {
      "migrated",     "signalled",      "switch_in_block",
      "irq_in_block", "timer_in_block", "fault_in_block"};
  return kNames[bit];
}

std::string Row::Name() const {
  return mode.has_value()
             ? absl::StrCat(scenario->name, "/mode:", GuestModeName(*mode))
             : std::string(scenario->name);
}

}  // namespace worldswitch
