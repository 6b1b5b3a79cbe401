// The image's own checks, into the log. Freestanding.

#ifndef WORLDSWITCH_NATIVE_CHECK_LOG_H_
#define WORLDSWITCH_NATIVE_CHECK_LOG_H_

#include <cstdint>

#include "native/checks.h"

namespace worldswitch::native {

// "@check NAME VERDICT TEXT".
class CheckLog final : public CheckSink {
 public:
  void Check(const char* name, CheckVerdict verdict, const char* text) override;
  std::uint32_t failed() const { return failed_; }

 private:
  std::uint32_t failed_ = 0;
};

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_CHECK_LOG_H_
