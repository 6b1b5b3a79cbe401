// What a scenario has the vCPU's own thread do on the host at each measured
// exit (Scenario::host_step), with the proof that it was done.

#ifndef WORLDSWITCH_BENCH_HOST_STEPS_H_
#define WORLDSWITCH_BENCH_HOST_STEPS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/block_driver.h"
#include "bench/scenario.h"
#include "core/host/backend.h"

namespace worldswitch {

class ScenarioStep : public ExitStep {
 public:
  // The thread is on its own CPU again afterwards.
  virtual ~ScenarioStep() = default;
  // False: the scenario cannot be measured here, or Take() failed; why() says
  // by whose word.
  bool ready() const { return why_.empty(); }
  const std::string& why() const { return why_; }
  // "the thread moved 100 times".
  virtual std::string evidence() const = 0;

 protected:
  std::string why_;
};

// Null for a scenario without. To be made on the thread that runs the vCPU,
// which is pinned to `cpu`; cpus: those that the program may use. other: a VM
// as the scenario needs it, for kRunAnotherVm; it must outlive the step.
std::unique_ptr<ScenarioStep> MakeScenarioStep(
    const Scenario& scenario, GuestMode mode, std::uint32_t cpu,
    const std::vector<std::uint32_t>& cpus, Vm* other);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_HOST_STEPS_H_
