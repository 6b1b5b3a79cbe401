// The one event that can be on its way into the guest (SDM 3C, "Event
// Injection"), as a state machine:
//
//   none -> accepted       inject_*, or an exit that interrupted a delivery
//   accepted -> in flight  written to the VM-entry interruption field
//   in flight -> none      the exit says nothing of it: it was delivered
//   in flight -> accepted  the IDT-vectoring field names it: once more
//   accepted -> none       cancelled
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_EVENTS_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_EVENTS_H_

#include <cstdint>

#include "backends/vmx_intel/native/vmcs.h"
#include "core/vcpu_ops.h"

namespace worldswitch {

// Interruption types, bits 10:8 of the interruption fields.
enum class VmxEventType : std::uint8_t {
  kExternalInterrupt = 0,
  kNmi = 2,
  kHardwareException = 3,
  kSoftwareInterrupt = 4,
  kPrivilegedSoftwareException = 5,
  kSoftwareException = 6,
  kOther = 7,
};

// What the entry fields are written with.
struct VmxEntryEvent {
  std::uint32_t information = 0;  // bit 31 set; 0: none
  std::uint32_t error_code = 0;
  std::uint32_t instruction_length = 0;  // software events

  VmxEventType type() const {
    return static_cast<VmxEventType>(information >> 8 & 7);
  }
  std::uint8_t vector() const { return static_cast<std::uint8_t>(information); }
  bool has_error_code() const { return (information & (1u << 11)) != 0; }
};

// Bits of VmcsField::kGuestInterruptibility.
namespace vmx {
inline constexpr std::uint64_t kBlockedBySti = 1;
inline constexpr std::uint64_t kBlockedByMovSs = 2;
inline constexpr std::uint64_t kBlockedByNmi = 8;
inline constexpr std::uint64_t kInterruptShadow =
    kBlockedBySti | kBlockedByMovSs;
}  // namespace vmx

// An event of the contract as the entry takes it. protected_mode: CR0.PE; in
// real mode no exception has an error code.
VmxEntryEvent EntryEventOf(const Event& event, bool protected_mode);

// Whether the entry accepts the exception's error code, or its absence.
// any_code: bit 56 of IA32_VMX_BASIC.
bool ErrorCodeFits(const Event& event, bool protected_mode, bool any_code);

class VmxEvents {
 public:
  explicit VmxEvents(Vmcs& vmcs) : vmcs_(vmcs) {}

  bool busy() const { return event_.information != 0; }
  const VmxEntryEvent& event() const { return event_; }

  // Only while not busy.
  void Accept(const VmxEntryEvent& event) { event_ = event; }
  // An IRQ, an NMI or an exception that was accepted; what the guest itself
  // had begun (INT n) cannot be taken back.
  bool Cancel(Event* event);

  // Before an entry: writes what was accepted; it is in flight then.
  void WriteForEntry();
  // An exit whose IDT-vectoring field is valid: what it names is accepted.
  void TakeBack(std::uint32_t idt_vectoring);
  // Behind an entry that failed: what was in flight is accepted still.
  void KeepAccepted();
  // Behind any exit, at last. True: what was in flight has been delivered.
  bool TakeDelivered(VmxEventType* type);

 private:
  Vmcs& vmcs_;
  VmxEntryEvent event_;  // accepted
  VmxEntryEvent in_flight_;
};

// What becomes of an exception while `first` was being delivered (SDM 3A,
// "Conditions for Generating a Double Fault").
enum class VmxCombined : std::uint8_t {
  kSecond,       // the exception alone, `first` is begun anew by the guest
  kSecondFirst,  // the exception, then `first`: an interrupt or an NMI
  kDoubleFault,
  kTripleFault,
};
VmxCombined Combine(const VmxEntryEvent& first, std::uint8_t exception);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_EVENTS_H_
