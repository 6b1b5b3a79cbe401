// Injection: interrupts, NMIs, exceptions, and taking them back.
//
// The kernel answers "what is on its way" by KVM_GET_VCPU_EVENTS. That costs a
// system call, so it is asked only where the page of the last run cannot tell.

#include "backends/kvm/kvm_vcpu.h"

namespace worldswitch {
namespace {

constexpr std::uint8_t kFirstIrqVector = 16;
constexpr std::uint8_t kLastExceptionVector = 31;
constexpr std::uint8_t kNmiVector = 2;
constexpr std::uint64_t kInterruptFlag = 1u << 9;  // RFLAGS.IF

// An NMI that waits behind another one being handled does not go into the next
// entry, so it keeps nobody else out.
bool NmiOnItsWay(const kvm_vcpu_events& events) {
  return events.nmi.injected != 0 ||
         (events.nmi.pending != 0 && events.nmi.masked == 0);
}

bool ExceptionOnItsWay(const kvm_vcpu_events& events) {
  return events.exception.injected != 0 || events.exception.pending != 0;
}

}  // namespace

bool KvmVcpu::PageTellsInterruptFlag() const {
  return (attention_ & kFlagsStale) == 0 &&
         (file_.dirty & kGeneralRegisters) == 0;
}

bool KvmVcpu::EventOnItsWay() {
  if (!event_accepted_) return false;
  if ((attention_ & kInjected) != 0) return true;  // no run since
  if (accepted_kind_ == EventKind::kIrq && PageTellsInterruptFlag() &&
      page_->ready_for_interrupt_injection != 0) {
    event_accepted_ = false;  // KVM has room for the next one
    return false;
  }
  kvm_vcpu_events events;
  if (!Ioctl(KVM_GET_VCPU_EVENTS, &events)) return true;
  const bool on_its_way = events.interrupt.injected != 0 ||
                          NmiOnItsWay(events) || ExceptionOnItsWay(events);
  event_accepted_ = on_its_way || events.nmi.pending != 0;
  return on_its_way;
}

bool KvmVcpu::interrupt_allowed() {
  if (kernel_irqchip_) return false;  // inject_irq would not be accepted
  if (EventOnItsWay()) return false;
  if (PageTellsInterruptFlag()) {
    return page_->ready_for_interrupt_injection != 0 && page_->if_flag != 0;
  }
  // Before the first run, and after the registers were changed, the page does
  // not tell.
  std::uint64_t rflags = file_.general.rflags;
  if (((file_.cached | file_.dirty) & kGeneralRegisters) == 0) {
    kvm_regs regs;
    if (!Ioctl(KVM_GET_REGS, &regs)) return false;
    rflags = regs.rflags;
  }
  kvm_vcpu_events events;
  return (rflags & kInterruptFlag) != 0 &&
         Ioctl(KVM_GET_VCPU_EVENTS, &events) &&
         events.interrupt.injected == 0 && events.interrupt.shadow == 0;
}

InjectResult KvmVcpu::Accept(EventKind kind) {
  event_accepted_ = true;
  accepted_kind_ = kind;
  Attend(kInjected);
  return InjectResult::kOk;
}

InjectResult KvmVcpu::inject_irq(std::uint8_t vector) {
  if (vector < kFirstIrqVector) return InjectResult::kInvalid;
  if (kernel_irqchip_) return InjectResult::kUnsupported;
  if (EventOnItsWay()) return InjectResult::kBusy;
  // Some engines deliver an interrupt whatever RFLAGS.IF says.
  if (!interrupt_allowed()) return InjectResult::kBlocked;
  kvm_interrupt interrupt = {.irq = vector};
  if (!Ioctl(KVM_INTERRUPT, &interrupt)) return InjectResult::kError;
  return Accept(EventKind::kIrq);
}

InjectResult KvmVcpu::inject_nmi() {
  if (EventOnItsWay()) return InjectResult::kBusy;
  if (!Ioctl(KVM_NMI, nullptr)) return InjectResult::kError;
  return Accept(EventKind::kNmi);
}

InjectResult KvmVcpu::inject_exception(const Event& event) {
  if (event.kind != EventKind::kException ||
      event.vector > kLastExceptionVector || event.vector == kNmiVector) {
    return InjectResult::kInvalid;
  }
  if (EventOnItsWay()) return InjectResult::kBusy;
  // It belongs between two instructions: let the one that exited end first.
  if (!PrepareForState(kNoRegisters)) {
    return last_error_ == EBUSY ? InjectResult::kBusy : InjectResult::kError;
  }
  kvm_vcpu_events events;
  if (!Ioctl(KVM_GET_VCPU_EVENTS, &events)) return InjectResult::kError;
  if (ExceptionOnItsWay(events)) return InjectResult::kBusy;
  events.exception.injected = 1;
  events.exception.nr = event.vector;
  events.exception.has_error_code = event.has_error_code ? 1 : 0;
  events.exception.error_code = event.has_error_code ? event.error_code : 0;
  if (!Ioctl(KVM_SET_VCPU_EVENTS, &events)) return InjectResult::kError;
  return Accept(EventKind::kException);
}

void KvmVcpu::StateWasSet() {
  file_.cached = kNoRegisters;
  Attend(kFlagsStale);
  // An event may have come with the state, or the one that waited have gone.
  kvm_vcpu_events events;
  event_accepted_ = false;
  if (!Ioctl(KVM_GET_VCPU_EVENTS, &events)) return;
  if (events.interrupt.injected != 0) {
    Accept(EventKind::kIrq);
  } else if (ExceptionOnItsWay(events)) {
    Accept(EventKind::kException);
  } else if (NmiOnItsWay(events)) {
    Accept(EventKind::kNmi);
  } else {
    AttendNoMore(kInjected);
  }
}

void KvmVcpu::request_irq_window(bool wanted) {
  page_->request_interrupt_window = wanted ? 1 : 0;
  if (wanted) {
    Attend(kWindow);
  } else {
    AttendNoMore(kWindow);
  }
}

void KvmVcpu::request_nmi_window(bool /*wanted*/) {}

bool KvmVcpu::cancel_injection(Event* event) {
  if (!event_accepted_) return false;
  kvm_vcpu_events events;
  if (!Ioctl(KVM_GET_VCPU_EVENTS, &events)) return false;
  Event taken;
  taken.kind = accepted_kind_;
  bool there = false;
  switch (accepted_kind_) {
    case EventKind::kIrq:
      there = events.interrupt.injected != 0;
      taken.vector = events.interrupt.nr;
      events.interrupt.injected = 0;
      break;
    case EventKind::kNmi:
      there = events.nmi.injected != 0 || events.nmi.pending != 0;
      taken.vector = kNmiVector;
      events.nmi.injected = 0;
      events.nmi.pending = 0;
      events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
      break;
    case EventKind::kException:
      there = ExceptionOnItsWay(events);
      taken.vector = events.exception.nr;
      taken.has_error_code = events.exception.has_error_code != 0;
      taken.error_code = events.exception.error_code;
      events.exception.injected = 0;
      events.exception.pending = 0;
      break;
  }
  if (there && !Ioctl(KVM_SET_VCPU_EVENTS, &events)) return false;
  event_accepted_ = false;
  if (!there) return false;
  // ready_for_interrupt_injection was told with the event in its place.
  Attend(kFlagsStale);
  AttendNoMore(kInjected);
  *event = taken;
  return true;
}

}  // namespace worldswitch
