// Accesses that the engine serves without its caller: ports and pages of the
// in-kernel irqchip, events that are signalled, writes that are collected.

#include <cstddef>
#include <cstdint>

#include "bench/catalogue_common.h"
#include "bench/scenario.h"
#include "core/features/io_events.h"

namespace worldswitch {
namespace {

constexpr std::uint64_t kLapicId = 0xfee00020;
constexpr std::uint64_t kIoregsel = 0xfec00000;
constexpr std::uint32_t kStoreBytes = 4;  // of the payload mmio_write
// The ring holds 169, but Linux 6.1 takes it for full with 85 in it where
// `last` is ahead of `first`: it computes (first - last - 1) % 170 in 32 bits,
// and 2^32 is no multiple of 170.
constexpr std::uint32_t kRingBlock = 80;

constexpr const char* kSignalled =
    "the event counts a signal an iteration, and run never returns";
constexpr const char* kCollected =
    "the ring gets an entry an iteration, and run never returns";

bool AddEvent(VmOps& vm, const IoEvent& event) {
  auto* const events = FeatureOf<IoEvents>(vm);
  IoEventToken token = 0;
  return events != nullptr && events->add_event(event, &token) == Result::kOk;
}
bool AddPortEvent(VmOps& vm) {
  return AddEvent(
      vm, {.space = IoSpace::kPort, .address = WS_PORT_TEST, .length = 1});
}
bool AddMemoryEvent(VmOps& vm) {
  return AddEvent(vm, {.space = IoSpace::kMemory,
                       .address = WS_MMIO_HOLE,
                       .length = kStoreBytes});
}
// Of one value only, which these payloads write: 0.
bool AddMatchingPortEvent(VmOps& vm) {
  return AddEvent(vm, {.space = IoSpace::kPort,
                       .address = WS_PORT_TEST,
                       .length = 1,
                       .match = true,
                       .value = 0});
}
bool AddMatchingMemoryEvent(VmOps& vm) {
  return AddEvent(vm, {.space = IoSpace::kMemory,
                       .address = WS_MMIO_HOLE,
                       .length = kStoreBytes,
                       .match = true,
                       .value = 0});
}
bool AddFastMemoryEvent(VmOps& vm) {
  return AddEvent(
      vm, {.space = IoSpace::kMemory, .address = WS_MMIO_HOLE, .length = 0});
}
std::uint64_t Signals(VmOps& vm) {
  constexpr IoEventToken kTheOnlyOne = 0;
  return FeatureOf<IoEvents>(vm)->signals(kTheOnlyOne);
}

bool CollectPort(VmOps& vm) {
  auto* const events = FeatureOf<IoEvents>(vm);
  return events != nullptr &&
         events->add_coalesced(IoSpace::kPort, WS_PORT_TEST, 1) == Result::kOk;
}
bool CollectMemory(VmOps& vm) {
  auto* const events = FeatureOf<IoEvents>(vm);
  return events != nullptr &&
         events->add_coalesced(IoSpace::kMemory, WS_MMIO_HOLE, kStoreBytes) ==
             Result::kOk;
}
std::uint64_t Collected(VmOps& vm) {
  return FeatureOf<IoEvents>(vm)->drain_coalesced();
}
void EmptyRing(VmOps& vm) { FeatureOf<IoEvents>(vm)->drain_coalesced(); }

constexpr Scenario kScenarios[] = {
    {.name = "kernel/pio_in",
     .summary = "IN of a byte from port 0x4d0, which the in-kernel PIC has",
     .vmexit_test = "inl_from_kernel",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_pio_in_port,
     .modes = kAllModes,
     .arguments = {kElcrMaster, 0},
     .knobs = "irqchip=full"},
    {.name = "kernel/pio_out",
     .summary = "OUT of 0 to port 0x4d0, which the in-kernel PIC has",
     .vmexit_test = "outl_to_kernel",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_pio_out_port,
     .modes = kAllModes,
     .arguments = {kElcrMaster, 0},
     .knobs = "irqchip=full"},
    {.name = "kernel/lapic_mmio",
     .summary = "a load of the local APIC's ID (no exit with APICv or AVIC)",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mmio_read_at,
     .modes = kRing0 | kRing3,
     .arguments = {kLapicId, 0},
     .knobs = "irqchip=split"},
    {.name = "kernel/ioapic_mmio",
     .summary = "a load of the in-kernel IOAPIC's IOREGSEL",
     .proof = kCounted,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mmio_read_at,
     .modes = kRing0 | kRing3,
     .arguments = {kIoregsel, 0},
     .knobs = "irqchip=full"},
    {.name = "kernel/ioeventfd_pio",
     .summary = "OUT to a port that an ioeventfd listens to",
     .vmexit_test = "portio-wildcard-eventfd:pci-io",
     .proof = kSignalled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .prepare = AddPortEvent,
     .count = Signals},
    {.name = "kernel/ioeventfd_mmio",
     .summary = "a 4-byte store where an ioeventfd of length 4 listens",
     .vmexit_test = "mmio-wildcard-eventfd:pci-mem",
     .proof = kSignalled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mmio_write,
     .modes = kAllModes,
     .prepare = AddMemoryEvent,
     .count = Signals},
    {.name = "kernel/ioeventfd_mmio_fast",
     .summary = "the same with length 0: the instruction need not be decoded",
     .proof = kSignalled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mmio_write,
     .modes = kAllModes,
     .prepare = AddFastMemoryEvent,
     .count = Signals},
    {.name = "kernel/ioeventfd_pio_datamatch",
     .summary = "OUT of 0 to a port where an ioeventfd listens for 0",
     .vmexit_test = "portio-datamatch-eventfd:pci-io",
     .proof = kSignalled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_pio_out_port,
     .modes = kAllModes,
     .arguments = {WS_PORT_TEST, 0},
     .prepare = AddMatchingPortEvent,
     .count = Signals},
    {.name = "kernel/ioeventfd_mmio_datamatch",
     .summary = "a 4-byte store of 0 where an ioeventfd listens for 0",
     .vmexit_test = "mmio-datamatch-eventfd:pci-mem",
     .proof = kSignalled,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mmio_write_value,
     .modes = kAllModes,
     .prepare = AddMatchingMemoryEvent,
     .count = Signals},
    {.name = "kernel/coalesced_pio",
     .summary = "OUT to a port whose writes are collected in a ring",
     .proof = kCollected,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_pio_out,
     .modes = kAllModes,
     .before_block = EmptyRing,
     .max_block = kRingBlock,
     .prepare = CollectPort,
     .count = Collected},
    {.name = "kernel/coalesced_mmio",
     .summary = "a 4-byte store that is collected in a ring",
     .proof = kCollected,
     .place = ScenarioPlace::kKvm,
     .proof_kind = ProofKind::kEngineCounter,
     .payload = Payload::k_mmio_write,
     .modes = kAllModes,
     .before_block = EmptyRing,
     .max_block = kRingBlock,
     .prepare = CollectMemory,
     .count = Collected},
};

}  // namespace

ScenarioList KernelIoScenarios() { return kScenarios; }

}  // namespace worldswitch
