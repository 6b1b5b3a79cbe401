// The ops that inject, and what a vCPU raises by itself: one event at a time
// goes to VmxEvents; what has to wait behind a fault is held.

#include "backends/vmx_intel/native/vmx_vcpu.h"

namespace worldswitch {
namespace {

using Word = VmxControlWord;

constexpr std::uint8_t kDoubleFault = 8;
constexpr std::uint8_t kNmiVector = 2;
constexpr std::uint8_t kFirstIrqVector = 16;
constexpr std::uint8_t kExceptionVectors = 32;
constexpr unsigned kBasicAnyErrorCode = 56;  // of IA32_VMX_BASIC

}  // namespace

void VmxVcpu::Queue(const VmxEntryEvent& event) {
  events_.Accept(event);
  Attend(kEventDue);
}

bool VmxVcpu::QueueException(const VmxEntryEvent& event) {
  VmxEntryEvent next = event;
  if (events_.busy()) {
    switch (Combine(events_.event(), event.vector())) {
      case VmxCombined::kSecond:
        break;
      case VmxCombined::kSecondFirst:
        held_ = events_.event();
        Attend(kEventHeld);
        break;
      case VmxCombined::kDoubleFault:
        next = EntryEventOf({.kind = EventKind::kException,
                             .vector = kDoubleFault,
                             .has_error_code = true,
                             .error_code = 0},
                            (state_.ReadCr0() & x86::kCr0Pe) != 0);
        break;
      case VmxCombined::kTripleFault:
        return false;
    }
  }
  Queue(next);
  return true;
}

void VmxVcpu::RaiseException(std::uint8_t vector, bool has_error_code) {
  const bool protected_mode = (state_.ReadCr0() & x86::kCr0Pe) != 0;
  // What was accepted before is no exception of this instruction's.
  QueueException(EntryEventOf({.kind = EventKind::kException,
                               .vector = vector,
                               .has_error_code = has_error_code,
                               .error_code = 0},
                              protected_mode));
}

void VmxVcpu::OfferHeld() {
  if (!events_.busy()) {
    const bool is_nmi = held_.type() == VmxEventType::kNmi;
    const std::uint64_t blocked =
        Interruptibility() &
        (vmx::kInterruptShadow | (is_nmi ? vmx::kBlockedByNmi : 0));
    if (blocked == 0 && (is_nmi || (Rflags() & x86::kFlagsInterrupt) != 0)) {
      Queue(held_);
      held_ = {};
      AttendNoMore(kEventHeld);
      words_.Set(Word::kPrimary, vmx::kInterruptWindow, irq_window_asked_);
      return;
    }
  }
  // An NMI is offered at every exit; an interrupt's window is one.
  if (held_.type() == VmxEventType::kExternalInterrupt) {
    words_.Set(Word::kPrimary, vmx::kInterruptWindow, true);
  }
}

bool VmxVcpu::interrupt_allowed() {
  MakeCurrent();
  return !events_.busy() && (Rflags() & x86::kFlagsInterrupt) != 0 &&
         (Interruptibility() & vmx::kInterruptShadow) == 0;
}

InjectResult VmxVcpu::inject_irq(std::uint8_t vector) {
  if (vector < kFirstIrqVector) return InjectResult::kInvalid;
  if (events_.busy()) return InjectResult::kBusy;
  if (!interrupt_allowed()) return InjectResult::kBlocked;
  Queue(EntryEventOf({.kind = EventKind::kIrq, .vector = vector}, true));
  return InjectResult::kOk;
}

InjectResult VmxVcpu::inject_nmi() {
  if (!words_.IsSet(Word::kPin, vmx::kPinVirtualNmis)) {
    return InjectResult::kUnsupported;
  }
  if (events_.busy()) return InjectResult::kBusy;
  MakeCurrent();
  if ((Interruptibility() & (vmx::kInterruptShadow | vmx::kBlockedByNmi)) !=
      0) {
    return InjectResult::kBlocked;
  }
  Queue(EntryEventOf({.kind = EventKind::kNmi, .vector = kNmiVector}, true));
  return InjectResult::kOk;
}

InjectResult VmxVcpu::inject_exception(const Event& event) {
  if (event.kind != EventKind::kException || event.vector == kNmiVector ||
      event.vector >= kExceptionVectors) {
    return InjectResult::kInvalid;
  }
  if (events_.busy()) return InjectResult::kBusy;
  MakeCurrent();
  const bool protected_mode = (state_.ReadCr0() & x86::kCr0Pe) != 0;
  const bool any_code =
      (shared_.capabilities.Value(VmxMsr::kBasic) >> kBasicAnyErrorCode & 1) !=
      0;
  if (!ErrorCodeFits(event, protected_mode, any_code)) {
    return InjectResult::kInvalid;
  }
  Queue(EntryEventOf(event, protected_mode));
  return InjectResult::kOk;
}

void VmxVcpu::request_irq_window(bool wanted) {
  MakeCurrent();
  irq_window_asked_ = wanted;
  words_.Set(Word::kPrimary, vmx::kInterruptWindow, wanted);
}

void VmxVcpu::request_nmi_window(bool wanted) {
  if (!words_.IsSet(Word::kPin, vmx::kPinVirtualNmis)) return;
  MakeCurrent();
  words_.Set(Word::kPrimary, vmx::kNmiWindow, wanted);
}

bool VmxVcpu::cancel_injection(Event* event) {
  if (!events_.Cancel(event)) return false;
  AttendNoMore(kEventDue);
  return true;
}

}  // namespace worldswitch
