#include "cli/failure.h"

#include <iostream>

#include "cli/exit_code.h"
#include "cli/lab_signals.h"

namespace worldswitch {

int Fail(const absl::Status& status, int code) {
  std::cerr << "worldswitch: " << status.message() << "\n";
  return code;
}

int FailInLab(const absl::Status& status, int code) {
  if (!absl::IsCancelled(status)) return Fail(status, code);
  std::cerr << "worldswitch: interrupted; the emulator is ended\n";
  return kExitSignalBase + LabSignals::received();
}

}  // namespace worldswitch
