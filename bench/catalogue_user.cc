// Exits that reach the caller of run.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"
#include "core/features/dirty_log.h"
#include "core/features/memory_slots.h"

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

// The page at WS_TOUCH where the hole would be, for reading only.
bool PrepareReadOnlySlot(VmOps& vm) {
  auto* slots = FeatureOf<MemorySlots>(vm);
  return slots != nullptr &&
         slots->add({.slot = 1,
                     .gpa = WS_MMIO_HOLE,
                     .bytes = 4096,
                     .host = vm.memory().host + WS_TOUCH,
                     .flags = kReadOnlySlot}) == Result::kOk;
}

// The memory behind the guest's own, watched, at WS_RING.
bool PrepareDirtyRing(VmOps& vm) {
  auto* slots = FeatureOf<MemorySlots>(vm);
  auto* log = FeatureOf<DirtyLog>(vm);
  const MemoryView memory = vm.memory();
  if (slots == nullptr || log == nullptr || log->ring_entries() == 0) {
    return false;
  }
  return slots->add({.slot = 1,
                     .gpa = WS_RING,
                     .bytes = WS_RING_BYTES,
                     .host = memory.host + memory.size - WS_RING_BYTES,
                     .flags = kLogDirtyPages}) == Result::kOk;
}

// Takes one page, so that the next one written fills the ring again.
ExitRole OnDirtyRing(ExitScene& scene, Exit& exit) {
  std::byte& flag = scene.memory[WS_MAILBOX_FLAG];
  // See guests/payloads.S. Up to ARM, the block is still filling the ring.
  constexpr std::byte kWasFull{1};
  constexpr std::byte kWriting{2};
  constexpr std::byte kDealtWith{3};
  if (IsPort(exit, WS_PORT_ARM, true)) return ExitRole::kAuxiliary;
  if (exit.reason != ExitReason::kDirtyRingFull) return ExitRole::kUnexpected;
  auto* log = FeatureOf<DirtyLog>(scene.vm);
  DirtyPage page = {};
  if (log->harvest(0, &page, 1) != 1 ||
      log->reset_rings(nullptr) != Result::kOk) {
    return ExitRole::kUnexpected;
  }
  const bool measured = flag == kWriting;
  flag = measured ? kDealtWith : kWasFull;
  return measured ? ExitRole::kMeasured : ExitRole::kAuxiliary;
}

// Without an IDT the first fault is a triple fault.
bool PrepareTripleFault(VmOps& vm) {
  VcpuOps& vcpu = vm.vcpu(0);
  if (vcpu.fetch_registers(kAllRegisters) != Result::kOk) return false;
  RegisterFile& registers = vcpu.registers();
  registers.special.idtr.limit = 0;
  registers.dirty |= kSpecialRegisters;
  return vcpu.commit_registers() == Result::kOk;
}

// A shutdown may leave the vCPU in any state (APM 2, 15.14.3), so the guest
// gets the registers of before, and goes on behind the UD2.
ExitRole OnTripleFault(ExitScene& scene, Exit& exit) {
  struct Kept {
    GeneralRegisters general;
    SpecialRegisters special;
  };
  std::byte* const kept_at = scene.memory + WS_KEPT_REGISTERS;
  const bool arms = IsPort(exit, WS_PORT_ARM, true);
  if (!arms && exit.reason != ExitReason::kShutdown) {
    return ExitRole::kUnexpected;
  }
  if (scene.vcpu.fetch_registers(kAllRegisters) != Result::kOk) {
    return ExitRole::kUnexpected;
  }
  RegisterFile& registers = scene.vcpu.registers();
  Kept kept;
  if (arms) {
    kept = {.general = registers.general, .special = registers.special};
    kept.general.rip = kept.general.rbx;
    __builtin_memcpy(kept_at, &kept, sizeof(kept));
    return ExitRole::kAuxiliary;
  }
  __builtin_memcpy(&kept, kept_at, sizeof(kept));
  registers.general = kept.general;
  registers.special = kept.special;
  registers.dirty = kAllRegisters;
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
     .vmexit_test = "portio-no-eventfd:pci-io",
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
     .vmexit_test = "mmio-no-eventfd:pci-mem",
     .proof = kSeen,
     .payload = Payload::k_mmio_write,
     .modes = kAllModes,
     .on_exit = OnMmioWrite},
    {.name = "user/mmio_readonly_slot",
     .summary = "a 4-byte store to a memory slot that is for reading only",
     .proof = kSeen,
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_mmio_write,
     .modes = kAllModes,
     .on_exit = OnMmioWrite,
     .prepare = PrepareReadOnlySlot},
    {.name = "user/dirty_ring_full",
     .summary = "a write to a clean page that fills the dirty ring, until it "
                "has one page less",
     .proof = "run returns DirtyRingFull once an iteration",
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_dirty_ring,
     .modes = kRing0 | kRing3,
     .on_exit = OnDirtyRing,
     .knobs = "dirty_ring=1024",  // WS_RING_ENTRIES
     .memory_bytes = WS_MEMORY_BYTES + WS_RING_BYTES,
     .why_not = kAboveOneMib,
     .prepare = PrepareDirtyRing},
    {.name = "user/shutdown",
     .summary = "a triple fault; the caller puts the registers back",
     .proof = "run returns Shutdown once an iteration",
     .payload = Payload::k_triple_fault,
     .modes = kAllModes,
     .on_exit = OnTripleFault,
     .prepare = PrepareTripleFault},
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
     .place = ScenarioPlace::kKvm,
     .kind = ScenarioKind::kKick,
     .proof_kind = ProofKind::kHostSide,
     .payload = Payload::k_spin,
     .modes = kAllModes},
    {.name = "user/registers_ioctl",
     .summary = "OUT, then all registers read and one changed, by ioctl",
     .proof = kSeen,
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnRegisters,
     .knobs = "registers=ioctl"},
    {.name = "user/registers_sync",
     .summary = "OUT, then all registers read and one changed, by shared page",
     .proof = kSeen,
     .place = ScenarioPlace::kKvm,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .on_exit = OnRegisters,
     .knobs = "registers=sync"},
};

}  // namespace

ScenarioList UserScenarios() { return kScenarios; }

}  // namespace worldswitch
