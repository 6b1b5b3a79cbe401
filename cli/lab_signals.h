// Ctrl-C, SIGTERM, SIGHUP and SIGPIPE while a lab runs: they end it in an
// orderly way, the emulator by its id and the files it needed. A second one
// ends this program at once, and the emulator with it.

#ifndef WORLDSWITCH_CLI_LAB_SIGNALS_H_
#define WORLDSWITCH_CLI_LAB_SIGNALS_H_

#include "lab/subprocess.h"

namespace worldswitch {

// While it lives, the signals set the flag. One at a time.
class LabSignals {
 public:
  LabSignals();
  ~LabSignals();
  LabSignals(const LabSignals&) = delete;
  LabSignals& operator=(const LabSignals&) = delete;

  // The signal that came; 0 if none did.
  static const StopFlag& flag();
  static int received() { return flag().load(); }
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_LAB_SIGNALS_H_
