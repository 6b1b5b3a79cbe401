// Knobs that hold for every engine and are applied to a VM before its vCPUs:
// the interrupt controller, the exits that are turned off or asked for, and
// what the guest's processor is like.
//
// A group of knobs a pair of functions: one lists them, one turns settings that
// were checked against the list into steps of KvmVmOptions.

#ifndef WORLDSWITCH_BACKENDS_KVM_KVM_KNOBS_H_
#define WORLDSWITCH_BACKENDS_KVM_KVM_KNOBS_H_

#include <vector>

#include "backends/kvm/kvm_system.h"
#include "backends/kvm/kvm_vm.h"
#include "core/host/knob.h"

namespace worldswitch {

// What the knobs of a VM have in common: name, type and default.
Knob VmKnob(const char* name, KnobType type, const char* default_value);

// irqchip, pit.
std::vector<Knob> IrqchipKnobs(const KvmSystem& system);
absl::Status ApplyIrqchipKnobs(const KnobSet& knobs,
                               const KnobSettings& settings,
                               KvmVmOptions* options);

// disable_exits, halt_poll_ns.
std::vector<Knob> ExitKnobs(const KvmSystem& system);
absl::Status ApplyExitKnobs(const KnobSet& knobs, const KnobSettings& settings,
                            KvmVmOptions* options);

// hypercall_exits, bus_lock_exits, notify_window, cpuid_entries.
std::vector<Knob> AskedExitKnobs(const KvmSystem& system);
absl::Status ApplyAskedExitKnobs(const KnobSet& knobs,
                                 const KnobSettings& settings,
                                 KvmVmOptions* options);

// msr_exits, msr_deny.
std::vector<Knob> MsrKnobs(const KvmSystem& system);
absl::Status ApplyMsrKnobs(const KnobSet& knobs, const KnobSettings& settings,
                           KvmVmOptions* options);

// x2apic_api, pmu, disable_quirks, tsc_khz.
std::vector<Knob> ProcessorKnobs(const KvmSystem& system);
absl::Status ApplyProcessorKnobs(const KnobSet& knobs,
                                 const KnobSettings& settings,
                                 KvmVmOptions* options);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_KVM_KVM_KNOBS_H_
