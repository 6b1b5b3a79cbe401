// The controls that are timed from the host's side alone.

#ifndef WORLDSWITCH_BENCH_HOST_CALLS_H_
#define WORLDSWITCH_BENCH_HOST_CALLS_H_

#include "bench/scenario.h"

namespace worldswitch {

using HostCall = bool (*)(VcpuOps& vcpu);

// The scenario's own call, or the system call that goes by its name. Null where
// there is none.
HostCall HostCallOf(const Scenario& scenario);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BENCH_HOST_CALLS_H_
