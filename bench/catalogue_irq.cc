// Interrupts into the guest.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"

namespace worldswitch {
namespace {

ExitRole OnInject(ExitScene& scene, Exit& exit) {
  if (!IsPort(exit, WS_PORT_TEST, true)) return ExitRole::kUnexpected;
  scene.context.PostIrq(WS_IRQ_VECTOR);
  return ExitRole::kMeasured;
}

ExitRole OnNmi(ExitScene& scene, Exit& exit) {
  if (!IsPort(exit, WS_PORT_TEST, true)) return ExitRole::kUnexpected;
  scene.context.PostNmi();
  return ExitRole::kMeasured;
}

constexpr Scenario kScenarios[] = {
    {.name = "irq/inject",
     .summary =
         "OUT, the caller injects vector 0x40, its handler's first stamp",
     .proof = "run returns the OUT, and the handler stamps, once an iteration",
     .proof_kind = ProofKind::kDelivery,
     .payload = Payload::k_interrupt,
     .modes = kAllModes,
     .interrupts_on = true,
     .needs = Capability::kIrqInjection,
     .on_exit = OnInject},
    {.name = "irq/nmi",
     .summary = "OUT, the caller injects an NMI, its handler's first stamp",
     .proof = "run returns the OUT, and the handler stamps, once an iteration",
     .proof_kind = ProofKind::kDelivery,
     .payload = Payload::k_interrupt,
     .modes = kAllModes,
     .needs = Capability::kNmiInjection,
     .on_exit = OnNmi},
};

}  // namespace

ScenarioList IrqScenarios() { return kScenarios; }

}  // namespace worldswitch
