#include "native/check_log.h"

#include "native/console.h"
#include "native/log_format.h"

namespace worldswitch::native {
namespace {

const char* VerdictText(CheckVerdict verdict) {
  switch (verdict) {
    case CheckVerdict::kPassed:
      return "passed";
    case CheckVerdict::kFailed:
      return "failed";
    case CheckVerdict::kDeviates:
      return "deviates";
    case CheckVerdict::kSkipped:
      break;
  }
  return "skipped";
}

}  // namespace

void CheckLog::Check(const char* name, CheckVerdict verdict, const char* text) {
  if (verdict == CheckVerdict::kFailed) ++failed_;
  console.Text(native_log::kCheck).Text(" ").Text(name).Text(" ");
  console.Text(VerdictText(verdict)).Text(" ").Text(text).End();
}

}  // namespace worldswitch::native
