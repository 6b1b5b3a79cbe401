// Every list there is.

#include "bench/scenario.h"

namespace worldswitch {

std::span<const ListFunction> ScenarioLists() {
  static constexpr ListFunction kLists[] = {
      ControlScenarios,  KernelScenarios,      VmexitKernelScenarios,
      KernelIoScenarios, KernelAskedScenarios, FastScenarios,
      UserScenarios,     VmexitUserScenarios,  UserAskedScenarios,
      IrqScenarios,      ApicIrqScenarios,     VmexitIrqScenarios,
      VcpuScenarios,     NativeScenarios};
  return kLists;
}

}  // namespace worldswitch
