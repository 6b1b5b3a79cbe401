#include "backends/svm_amd/native/svm_events.h"

#include "backends/svm_amd/svm_exit_info.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint64_t kValid = 1u << 31;
constexpr std::uint64_t kTypeIrq = 0u << 8;
constexpr std::uint64_t kTypeNmi = 2u << 8;
constexpr std::uint64_t kTypeException = 3u << 8;
constexpr std::uint64_t kTypeMask = 7u << 8;
constexpr std::uint64_t kTypeSoftware = 4u << 8;
constexpr std::uint64_t kHasErrorCode = 1u << 11;
constexpr std::uint8_t kNmiVector = 2;
constexpr std::uint8_t kBreakpoint = 3;
constexpr std::uint8_t kOverflow = 4;
constexpr std::uint8_t kFirstIrqVector = 16;
constexpr std::uint8_t kExceptions = 32;
constexpr std::uint64_t kSingleStep = 1u << 14;  // DR6.BS

std::uint64_t RawException(const Event& event) {
  std::uint64_t raw = kValid | kTypeException | event.vector;
  if (event.has_error_code) {
    raw |= kHasErrorCode | std::uint64_t{event.error_code} << 32;
  }
  return raw;
}

Event FromRaw(std::uint64_t raw) {
  Event event;
  event.vector = static_cast<std::uint8_t>(raw);
  switch (raw & kTypeMask) {
    case kTypeIrq:
      event.kind = EventKind::kIrq;
      break;
    case kTypeNmi:
      event.kind = EventKind::kNmi;
      event.vector = kNmiVector;
      break;
    default:
      event.kind = EventKind::kException;
      event.has_error_code = (raw & kHasErrorCode) != 0;
      event.error_code = static_cast<std::uint32_t>(raw >> 32);
      break;
  }
  return event;
}

// INTn, INT3 and INTO: they are executed again instead.
bool IsOfAnInstruction(std::uint64_t raw) {
  const auto vector = static_cast<std::uint8_t>(raw);
  return (raw & kTypeMask) == kTypeSoftware ||
         ((raw & kTypeMask) == kTypeException &&
          (vector == kBreakpoint || vector == kOverflow));
}

}  // namespace

InjectResult SvmEvents::AcceptIrq(std::uint8_t vector, bool allowed) {
  if (vector < kFirstIrqVector) return InjectResult::kInvalid;
  if (busy()) return InjectResult::kBusy;
  if (!allowed && virtual_irq_ != VirtualIrq::kEarly) {
    return InjectResult::kBlocked;
  }
  if (virtual_irq_ == VirtualIrq::kOff) {
    Inject(kValid | kTypeIrq | vector);
  } else {
    InjectByVirtualIrq(vector);
  }
  return InjectResult::kOk;
}

InjectResult SvmEvents::AcceptNmi(bool shadowed) {
  if (busy()) return InjectResult::kBusy;
  if (nmi_ != Nmi::kFree || shadowed) return InjectResult::kBlocked;
  Inject(kValid | kTypeNmi | kNmiVector);
  return InjectResult::kOk;
}

InjectResult SvmEvents::AcceptException(const Event& event) {
  if (event.kind != EventKind::kException || event.vector >= kExceptions ||
      event.vector == kNmiVector) {
    return InjectResult::kInvalid;
  }
  if (busy()) return InjectResult::kBusy;
  Inject(RawException(event));
  return InjectResult::kOk;
}

void SvmEvents::RaiseException(const Event& event) {
  // An interrupt that was accepted comes as soon as the guest can take it.
  if (state_ == State::kEventInj && (raw_ & kTypeMask) == kTypeIrq) {
    InjectByVirtualIrq(static_cast<std::uint8_t>(raw_));
  }
  const State before = state_;
  Inject(RawException(event));
  if (before == State::kVirtualIrq) state_ = State::kVirtualIrq;
}

bool SvmEvents::Cancel(Event* event) {
  switch (state_) {
    case State::kNone:
      return false;
    case State::kEventInj:
      *event = FromRaw(raw_);
      if (event->kind == EventKind::kNmi) FreeNmis();
      break;
    case State::kVirtualIrq:
      *event = {.kind = EventKind::kIrq,
                .vector = static_cast<std::uint8_t>(
                    vmcb_.control.virtual_interrupt_vector)};
      ClearVirtualIrq();
      break;
  }
  state_ = State::kNone;
  raw_ = 0;
  vmcb_.control.event_injection = 0;
  if (irq_window_) ArmWindow();
  return true;
}

void SvmEvents::RequestIrqWindow(bool wanted) {
  irq_window_ = wanted;
  if (wanted) {
    ArmWindow();
  } else if (window_armed_) {
    ClearVirtualIrq();
  }
}

void SvmEvents::RequestNmiWindow(bool wanted) {
  nmi_window_ = wanted;
  if (wanted && nmi_ == Nmi::kFree) work_.before |= EntryWork::kNmiWindow;
  if (!wanted) work_.before &= ~EntryWork::kNmiWindow;
}

void SvmEvents::AfterExit(bool entered) {
  work_.after &= ~EntryWork::kEvent;
  const std::uint64_t interrupted = vmcb_.control.exit_int_info;
  const bool was_interrupted =
      entered && SvmInterruption::kValid.IsSet(interrupted);
  if (!entered) {
    // It has not been looked at.
    vmcb_.control.event_injection = raw_;
  } else if (raw_ != 0) {
    // The processor clears V; not every one that is emulated does.
    vmcb_.control.event_injection = 0;
    if (!was_interrupted) Count(raw_);
    raw_ = 0;
    if (state_ == State::kEventInj) state_ = State::kNone;
  }
  if (state_ == State::kVirtualIrq && entered &&
      (vmcb_.control.virtual_interrupt & SvmVirtualInterrupt::kIrq) == 0) {
    state_ = State::kNone;
    ++irqs_;
  }
  if (was_interrupted && !IsOfAnInstruction(interrupted)) {
    const State before = state_;
    Inject(interrupted);
    if (before == State::kVirtualIrq) state_ = before;
  }
  if (nmi_ == Nmi::kAtIret || nmi_ == Nmi::kStepping) {
    if (entered && vmcb_.save.rip != iret_rip_) {
      FreeNmis();
    } else {
      work_.after |= EntryWork::kNmi;
    }
  }
  if (state_ == State::kVirtualIrq || raw_ != 0) {
    work_.after |= EntryWork::kEvent;
  }
  if (irq_window_ && !window_armed_) ArmWindow();
}

void SvmEvents::OnVintrExit() {
  irq_window_ = false;
  ClearVirtualIrq();
}

void SvmEvents::OnIretExit() {
  SetIretIntercept(false);
  iret_rip_ = vmcb_.save.rip;
  nmi_ = Nmi::kAtIret;
  work_.after |= EntryWork::kNmi;
  // Nothing tells that IRET is done but a step.
  if (nmi_window_ && (vmcb_.save.rflags & kRflagsTf) == 0) {
    nmi_ = Nmi::kStepping;
    stepped_tf_ = true;
    vmcb_.save.rflags |= kRflagsTf | kRflagsRf;
    vmcb_.control.exception_intercepts |= 1u << 1;
    work_.Touch(vmcb_, SvmClean::kIntercepts);
  }
}

bool SvmEvents::OnDebugExit() {
  // Not every processor has BS in the VMCB by now; a breakpoint of the guest's
  // own at the same place is told by its bit.
  constexpr std::uint64_t kBreakpoints = 0xF;
  if (!stepped_tf_) return false;
  stepped_tf_ = false;
  vmcb_.save.dr6 &= ~kSingleStep;
  work_.Touch(vmcb_, SvmClean::kDebugRegisters);
  if ((vmcb_.save.dr6 & kBreakpoints) != 0) return false;
  return TakeOpenNmiWindow();
}

bool SvmEvents::TakeOpenNmiWindow() {
  if (!nmi_window_ || nmi_ != Nmi::kFree || busy()) return false;
  nmi_window_ = false;
  work_.before &= ~EntryWork::kNmiWindow;
  return true;
}

void SvmEvents::Reset() {
  if (state_ == State::kVirtualIrq || window_armed_) ClearVirtualIrq();
  state_ = State::kNone;
  raw_ = 0;
  vmcb_.control.event_injection = 0;
  work_.after &= ~EntryWork::kEvent;
  if (nmi_ != Nmi::kFree) FreeNmis();
}

void SvmEvents::SetRawEvent(std::uint64_t raw) {
  raw_ = raw;
  state_ = raw != 0 ? State::kEventInj : State::kNone;
  vmcb_.control.event_injection = raw;
  work_.after |= EntryWork::kEvent;
}

void SvmEvents::Inject(std::uint64_t raw) {
  raw_ = raw;
  state_ = State::kEventInj;
  vmcb_.control.event_injection = raw;
  work_.after |= EntryWork::kEvent;
  // The processor does not know of NMIs that are injected.
  if ((raw & kTypeMask) == kTypeNmi) BlockNmis();
}

void SvmEvents::InjectByVirtualIrq(std::uint8_t vector) {
  if (window_armed_) ClearVirtualIrq();
  vmcb_.control.virtual_interrupt |= SvmVirtualInterrupt::kIrq |
                                     SvmVirtualInterrupt::kHighestPriority |
                                     SvmVirtualInterrupt::kIgnoreTpr;
  vmcb_.control.virtual_interrupt_vector = vector;
  state_ = State::kVirtualIrq;
  work_.Touch(vmcb_, SvmClean::kVirtualInterrupt);
  work_.after |= EntryWork::kEvent;
}

// A virtual interrupt that never gets as far as the guest's IDT.
void SvmEvents::ArmWindow() {
  if (state_ == State::kVirtualIrq) {
    // Its place is taken; AfterExit tries again.
    work_.after |= EntryWork::kEvent;
    return;
  }
  vmcb_.control.virtual_interrupt |= SvmVirtualInterrupt::kIrq |
                                     SvmVirtualInterrupt::kHighestPriority |
                                     SvmVirtualInterrupt::kIgnoreTpr;
  vmcb_.control.virtual_interrupt_vector = 0;
  vmcb_.control.intercepts1 |= SvmIntercept1::kVintr;
  window_armed_ = true;
  work_.Touch(vmcb_, SvmClean::kVirtualInterrupt | SvmClean::kIntercepts);
}

void SvmEvents::ClearVirtualIrq() {
  vmcb_.control.virtual_interrupt &=
      ~(SvmVirtualInterrupt::kIrq | SvmVirtualInterrupt::kHighestPriority |
        SvmVirtualInterrupt::kIgnoreTpr);
  vmcb_.control.intercepts1 &= ~SvmIntercept1::kVintr;
  window_armed_ = false;
  work_.Touch(vmcb_, SvmClean::kVirtualInterrupt | SvmClean::kIntercepts);
}

void SvmEvents::BlockNmis() {
  nmi_ = Nmi::kBlocked;
  SetIretIntercept(true);
}

void SvmEvents::FreeNmis() {
  nmi_ = Nmi::kFree;
  work_.after &= ~EntryWork::kNmi;
  SetIretIntercept(false);
  if (stepped_tf_ && vmcb_.control.exit_code != 0x41) {
    // Something else came before the step's end.
    stepped_tf_ = false;
    vmcb_.save.rflags &= ~kRflagsTf;
  }
  if (nmi_window_) work_.before |= EntryWork::kNmiWindow;
}

void SvmEvents::SetIretIntercept(bool on) {
  std::uint32_t& intercepts = vmcb_.control.intercepts1;
  intercepts = on ? intercepts | SvmIntercept1::kIret
                  : intercepts & ~SvmIntercept1::kIret;
  work_.Touch(vmcb_, SvmClean::kIntercepts);
}

void SvmEvents::Count(std::uint64_t raw) {
  if ((raw & kTypeMask) == kTypeIrq) ++irqs_;
  if ((raw & kTypeMask) == kTypeNmi) ++nmis_;
}

}  // namespace worldswitch::svm
