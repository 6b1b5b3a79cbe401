// The lists with something in them for ring 0. What rests on KVM alone stays
// out of the image, with its texts.

#include "bench/scenario.h"

namespace worldswitch {

std::span<const ListFunction> ScenarioLists() {
  static constexpr ListFunction kLists[] = {
      ControlScenarios, UserScenarios, VmexitUserScenarios,
      IrqScenarios,     VcpuScenarios, NativeScenarios};
  return kLists;
}

}  // namespace worldswitch
