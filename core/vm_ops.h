// All that a scenario or a conformance clause needs of a VM, so that neither
// ever names a backend: memory, vCPUs, optional features, counters.
//
// Part of the contract floor: freestanding. Creating a VM is the host's
// business (core/host/backend.h) or the boot image's.

#ifndef WORLDSWITCH_CORE_VM_OPS_H_
#define WORLDSWITCH_CORE_VM_OPS_H_

#include <cstddef>
#include <cstdint>

#include "core/exit.h"
#include "core/vcpu_ops.h"

namespace worldswitch {

// Optional features. A backend offers or refuses each of them, per VM.
enum class Capability : std::uint8_t {
  kIrqInjection,        // inject_irq, interrupt_allowed
  kIrqWindow,           // request_irq_window and the kIrqWindow exit
  kNmiInjection,        // inject_nmi
  kExceptionInjection,  // inject_exception
  kCounters,            // counter() knows at least kExits
  kDiscardMemory,       // discard_memory: the next touch faults again
  kConcurrentVcpus,     // vCPUs may run on threads of their own
  kSharedTimeStamp,     // the guest's TSC is meant to equal the host's
  kCount
};
const char* CapabilityName(Capability capability);

// What the engine itself counts, per vCPU, since the vCPU was made. The proof
// of exits that never reach the caller.
enum class Counter : std::uint8_t {
  kExits,             // all VM exits, as the engine counts them
  kIoExits,           // port I/O
  kMmioExits,         // MMIO
  kHaltExits,         // HLT
  kIrqWindowExits,    // interrupt window
  kSignalExits,       // left for a signal
  kExternalIrqExits,  // interrupts of the host
  kHypercalls,        // VMCALL, VMMCALL
  kInstructionsEmulated,
  kIrqInjections,
  kNmiInjections,
  kPageFaultsTaken,  // nested (or shadow) page faults
  kPageFaultsFixed,
  kTlbFlushes,
  kHaltPollSuccesses,  // HLTs that ended while they were polled for
  kCount
};
// In KVM's words (KVM_GET_STATS_FD): "exits", "halt_successful_poll".
const char* CounterName(Counter counter);

// Optional interfaces of a VM, each declared in core/features/. A backend
// offers one or does not; FeatureOf asks.
enum class FeatureId : std::uint8_t {
  kIrqchip,            // core/features/irqchip.h
  kIoEvents,           // core/features/io_events.h
  kMemorySlots,        // core/features/memory_slots.h
  kDirtyLog,           // core/features/dirty_log.h
  kMsrExits,           // core/features/msr_exits.h
  kGuestDebug,         // core/features/guest_debug.h
  kVcpuState,          // core/features/vcpu_state.h
  kGuestClock,         // core/features/guest_clock.h
  kProcessorControls,  // core/features/processor_controls.h
};

// Guest-physical memory [gpa, gpa + size), readable and writable by the host at
// `host`.
struct MemoryView {
  std::byte* host = nullptr;
  std::uint64_t gpa = 0;
  std::uint64_t size = 0;

  // The host's address of [address, address + length), or null where that is
  // not wholly inside.
  std::byte* At(std::uint64_t address, std::uint64_t length) const {
    if (address < gpa || length > size || address - gpa > size - length) {
      return nullptr;
    }
    return host + (address - gpa);
  }
};

class VmOps {
 public:
  // The main memory: one view that starts at guest-physical 0.
  virtual MemoryView memory() = 0;
  virtual std::uint32_t vcpu_count() const = 0;
  // index: 0 to vcpu_count() - 1. Lives as long as the VM.
  virtual VcpuOps& vcpu(std::uint32_t index) = 0;
  virtual bool has(Capability capability) const = 0;
  // Costs a system call or more: never between two entries that are timed.
  virtual OptionalValue counter(Counter counter, std::uint32_t vcpu_index) = 0;
  // kDiscardMemory: takes the host's backing of [gpa, gpa + length) away, both
  // page-aligned. It reads as zeros afterwards, after a fault.
  virtual Result discard_memory(std::uint64_t gpa, std::uint64_t length) = 0;
  // The interface of that name, as a pointer to its own type, or null where
  // this VM does not have it. Lives as long as the VM. Use FeatureOf.
  virtual void* feature(FeatureId /*id*/) { return nullptr; }

 protected:
  ~VmOps() = default;
};

// FeatureOf<Irqchip>(vm): the VM's irqchip, or null. F::kId says which it is.
template <typename F>
F* FeatureOf(VmOps& vm) {
  return static_cast<F*>(vm.feature(F::kId));
}

// What a scenario or clause asks for when it has a VM made.
struct VmNeeds {
  std::uint64_t memory_bytes = std::uint64_t{2} << 20;  // multiple of 4096
  std::uint32_t vcpus = 1;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_CORE_VM_OPS_H_
