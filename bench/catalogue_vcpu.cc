// What a round trip costs when the vCPU is not left alone on its CPU: moved to
// another one, in turns with another VM, beside other vCPUs that exit too.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"

namespace worldswitch {
namespace {

ExitRole OnOut(ExitScene&, Exit& exit) {
  return IsPort(exit, WS_PORT_TEST, true) ? ExitRole::kMeasured
                                          : ExitRole::kUnexpected;
}

constexpr const char* kParallelProof =
    "run returns the OUT once an iteration, and each other vCPU's run returned "
    "its own meanwhile";

constexpr Scenario kScenarios[] = {
    {.name = "vcpu/migrate_cpu",
     .summary = "OUT; its thread moves to another CPU before it enters again "
                "(the handler leg is the move)",
     .proof = "run returns the OUT once an iteration, on another CPU than the "
              "one before",
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnOut,
     .host_step = HostStep::kMoveToAnotherCpu},
    {.name = "vcpu/alternate_vms",
     .summary = "OUT; another VM has one entry and exit on this CPU before it "
                "enters again: two round trips",
     .proof = "run returns each VM's OUT once an iteration",
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnOut,
     .host_step = HostStep::kRunAnotherVm},
    {.name = "vcpu/parallel_2",
     .summary = "OUT, while one more vCPU of the VM does the same on another "
                "CPU",
     .proof = kParallelProof,
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kParallel,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .needs = Capability::kConcurrentVcpus,
     .on_exit = OnOut,
     .parallel = 2},
    {.name = "vcpu/parallel_cpus",
     .summary = "the same with a vCPU on every CPU that the program may use",
     .proof = kParallelProof,
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kParallel,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .needs = Capability::kConcurrentVcpus,
     .on_exit = OnOut,
     .parallel = 0},
};

}  // namespace

ScenarioList VcpuScenarios() { return kScenarios; }

}  // namespace worldswitch
