// Controls: what measuring itself costs, and what involves no guest.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"

namespace worldswitch {
namespace {

void KickSelf(VcpuOps& vcpu) { vcpu.kick_handle().Kick(); }

bool RunIsInterrupted(VcpuOps& vcpu) {
  return vcpu.run().reason == ExitReason::kInterrupted;
}

constexpr Scenario kScenarios[] = {
    {.name = "control/empty",
     .summary = "two stamps with nothing between: what measuring costs",
     .proof = "the engine's exits counter does not move",
     .proof_kind = ProofKind::kNoExit,
     .modes = kAllModes},
    {.name = "control/loop",
     .summary = "the counting loop alone; batch is what one turn of it costs",
     .proof = "the engine's exits counter does not move",
     .proof_kind = ProofKind::kNoExit,
     .modes = kAllModes},
    {.name = "control/immediate_exit",
     .summary = "run with a kick pending: into the engine and back, no entry",
     .proof = "run returns Interrupted every time",
     .kind = ScenarioKind::kHostCall,
     .proof_kind = ProofKind::kHostSide,
     .host_call = RunIsInterrupted,
     .host_prepare = KickSelf},
    {.name = "control/ioctl",
     .summary = "ioctl(FIONREAD) on a pipe: a system call with an argument",
     .proof = "the call succeeds every time",
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kHostCall,
     .proof_kind = ProofKind::kHostSide},
    {.name = "control/getpid",
     .summary = "getppid: the cheapest system call",
     .proof = "the call gives the same answer every time",
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kHostCall,
     .proof_kind = ProofKind::kHostSide},
};

}  // namespace

ScenarioList ControlScenarios() { return kScenarios; }

}  // namespace worldswitch
