// Exits that reach the caller of run.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"

namespace worldswitch {
namespace {

ExitRole OnPioOut(ExitScene&, Exit& exit) {
  return IsPort(exit, WS_PORT_TEST, true) && exit.io.size == 1
             ? ExitRole::kMeasured
             : ExitRole::kUnexpected;
}

ExitRole OnPioIn(ExitScene&, Exit& exit) {
  if (!IsPort(exit, WS_PORT_TEST, false) || exit.io.size != 1) {
    return ExitRole::kUnexpected;
  }
  *static_cast<std::uint8_t*>(exit.io.data) = 0x5a;
  return ExitRole::kMeasured;
}

ExitRole OnPioString(ExitScene&, Exit& exit) {
  return IsPort(exit, WS_PORT_STRING, true) ? ExitRole::kMeasured
                                            : ExitRole::kUnexpected;
}

ExitRole OnMmio(Exit& exit, bool is_write) {
  if (exit.reason != ExitReason::kMmio || exit.mmio.gpa != WS_MMIO_HOLE ||
      exit.mmio.is_write != is_write || exit.mmio.length != 4) {
    return ExitRole::kUnexpected;
  }
  if (!is_write) __builtin_memset(exit.mmio.data, 0x5a, exit.mmio.length);
  return ExitRole::kMeasured;
}

ExitRole OnMmioRead(ExitScene&, Exit& exit) { return OnMmio(exit, false); }

ExitRole OnMmioWrite(ExitScene&, Exit& exit) { return OnMmio(exit, true); }

ExitRole OnHlt(ExitScene&, Exit& exit) {
  return exit.reason == ExitReason::kHlt ? ExitRole::kMeasured
                                         : ExitRole::kUnexpected;
}

ExitRole OnIrqWindow(ExitScene& scene, Exit& exit) {
  if (IsPort(exit, WS_PORT_ARM, true)) {
    if (!scene.control) scene.vcpu.request_irq_window(true);
    return ExitRole::kAuxiliary;
  }
  if (exit.reason != ExitReason::kIrqWindow) return ExitRole::kUnexpected;
  scene.memory[WS_MAILBOX_FLAG] = std::byte{1};
  return ExitRole::kMeasured;
}

ExitRole OnRegisters(ExitScene& scene, Exit& exit) {
  if (!IsPort(exit, WS_PORT_TEST, true)) return ExitRole::kUnexpected;
  if (scene.vcpu.fetch_registers(kAllRegisters) != Result::kOk) {
    return ExitRole::kUnexpected;
  }
  RegisterFile& registers = scene.vcpu.registers();
  registers.general.rax ^= 1;
  registers.dirty |= kGeneralRegisters;
  return ExitRole::kMeasured;
}

constexpr Scenario kScenarios[] = {
    {.name = "user/pio_in",
     .summary = "IN of a byte, served by the caller",
     .proof = kSeen,
     .payload = Payload::k_pio_in,
     .modes = kAllModes,
     .on_exit = OnPioIn},
    {.name = "user/pio_out",
     .summary = "OUT of a byte, served by the caller",
     .proof = kSeen,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnPioOut},
    {.name = "user/pio_string",
     .summary =
         "REP OUTSB of 16 bytes; as many exits as the engine makes of it",
     .proof = "run returns it, the same number of times for each iteration",
     .payload = Payload::k_pio_string,
     .modes = kAllModes,
     .on_exit = OnPioString},
    {.name = "user/mmio_read",
     .summary = "a 4-byte load where no memory is",
     .proof = kSeen,
     .payload = Payload::k_mmio_read,
     .modes = kAllModes,
     .on_exit = OnMmioRead},
    {.name = "user/mmio_write",
     .summary = "a 4-byte store where no memory is",
     .proof = kSeen,
     .payload = Payload::k_mmio_write,
     .modes = kAllModes,
     .on_exit = OnMmioWrite},
    {.name = "user/hlt",
     .summary = "HLT without an in-kernel irqchip",
     .proof = kSeen,
     .payload = Payload::k_hlt,
     .modes = kPrivileged,
     .on_exit = OnHlt},
    {.name = "user/irq_window",
     .summary = "STI with the interrupt window requested, until it has come",
     .proof = "run returns IrqWindow once an iteration",
     .payload = Payload::k_irq_window,
     .modes = kPrivileged,
     .needs = Capability::kIrqWindow,
     .on_exit = OnIrqWindow},
    {.name = "user/kick",
     .summary = "from a peer's Kick() to run's return, the guest spinning",
     .proof = "run returns Interrupted once for each kick",
     .kind = ScenarioKind::kKick,
     .proof_kind = ProofKind::kHostSide,
     .payload = Payload::k_spin,
     .modes = kAllModes},
    {.name = "user/registers_ioctl",
     .summary = "OUT, then all registers read and one changed, by ioctl",
     .proof = kSeen,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnRegisters,
     .knobs = "registers=ioctl"},
    {.name = "user/registers_sync",
     .summary = "OUT, then all registers read and one changed, by shared page",
     .proof = kSeen,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnRegisters,
     .knobs = "registers=sync"},
};

}  // namespace

ScenarioList UserScenarios() { return kScenarios; }

}  // namespace worldswitch
