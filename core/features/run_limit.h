// A limit on how long one entry may last, kept by the CPU itself (the VMX
// preemption timer), for hosts whose interrupts cannot be relied upon to end a
// guest.
//
// Part of the contract floor: freestanding.

#ifndef WORLDSWITCH_CORE_FEATURES_RUN_LIMIT_H_
#define WORLDSWITCH_CORE_FEATURES_RUN_LIMIT_H_

#include <cstdint>

#include "core/vm_ops.h"

namespace worldswitch {

// No vCPU may be running.
class RunLimit {
 public:
  static constexpr FeatureId kId = FeatureId::kRunLimit;

  // From the next run on: a run that is in the guest for `ticks` of the TSC, or
  // a little more, returns kInterrupted. 0: no limit, as at first.
  virtual Result set_run_limit(std::uint32_t vcpu_index,
                               std::uint64_t ticks) = 0;

 protected:
  ~RunLimit() = default;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_FEATURES_RUN_LIMIT_H_
