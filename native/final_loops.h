// The loops on the vendors' own vCPU types, which are final: the same code as
// through VcpuOps, with direct calls. Freestanding.

#ifndef WORLDSWITCH_NATIVE_FINAL_LOOPS_H_
#define WORLDSWITCH_NATIVE_FINAL_LOOPS_H_

#include "backends/native/native_backend.h"
#include "bench/block_driver.h"
#include "native/path_runner.h"

namespace worldswitch::native {

struct FinalLoops {
  BlockLoop block = nullptr;
  PathLoop path = nullptr;
};

// For the vCPUs of that backend's VMs.
FinalLoops FinalLoopsOf(const NativeBackend& backend);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_FINAL_LOOPS_H_
