// One boot, from the emulator's start to its end: listens to the channel,
// watches the console for a panic, keeps to the time limits, and ends the
// emulator on every way out.

#ifndef WORLDSWITCH_LAB_EMULATOR_RUN_H_
#define WORLDSWITCH_LAB_EMULATOR_RUN_H_

#include <chrono>
#include <functional>

#include "absl/status/status.h"
#include "lab/emulator.h"
#include "lab/guest_channel.h"
#include "lab/subprocess.h"

namespace worldswitch {

struct RunLimits {
  // Until /init says that it runs; and of the whole.
  std::chrono::seconds boot{120};
  std::chrono::seconds total{600};
};

// Calls on_frame for every frame, as they come. Ok: the guest said how its
// command ended. Errors say what happened and end with the console's last
// lines: DeadlineExceeded, Aborted (the kernel panicked), FailedPrecondition
// (/init could not do its part), DataLoss (the channel makes no sense, or a
// full disk has cut it), Unavailable (the emulator ended early); Cancelled:
// *stop was set.
absl::Status RunBoot(const Boot& boot, const RunLimits& limits,
                     const StopFlag& stop,
                     const std::function<void(const GuestFrame&)>& on_frame);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_EMULATOR_RUN_H_
