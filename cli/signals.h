// Ctrl-C, SIGTERM and SIGHUP end a run in an orderly way: what is measured so
// far is shown and written. A second one ends the program at once.

#ifndef WORLDSWITCH_CLI_SIGNALS_H_
#define WORLDSWITCH_CLI_SIGNALS_H_

#include "bench/watchdog.h"

namespace worldswitch {

// While it lives, the signals stop the watchdog's vCPU. One at a time.
class SignalScope {
 public:
  explicit SignalScope(Watchdog& watchdog);
  ~SignalScope();
  SignalScope(const SignalScope&) = delete;
  SignalScope& operator=(const SignalScope&) = delete;

  // The signal that came; 0 if none did.
  static int received();
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CLI_SIGNALS_H_
