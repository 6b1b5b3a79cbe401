// The other half of the backend `scripted`: VMs that do what recorded ones did.
//
// `--backend scripted:recording=FILE`: the first VM made plays the first one of
// the recording, and so on. Its memory is plain memory that nothing but the
// caller writes to, and it has no optional features.

#ifndef WORLDSWITCH_BACKENDS_SCRIPTED_REPLAY_BACKEND_H_
#define WORLDSWITCH_BACKENDS_SCRIPTED_REPLAY_BACKEND_H_

#include <memory>

#include "backends/scripted/recording.h"
#include "core/host/backend.h"

namespace worldswitch {

// CreateVm fails with
// OutOfRange after the recording's last VM, and with FailedPrecondition where
// more memory or other vCPUs are asked for than the recorded VM had.
std::unique_ptr<Backend> MakeReplayBackend(Recording recording);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SCRIPTED_REPLAY_BACKEND_H_
