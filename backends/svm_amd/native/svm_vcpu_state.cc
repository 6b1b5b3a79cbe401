// The vCPU between two runs: registers fetched and committed, events accepted,
// details and counters asked for.

#include <cerrno>

#include "backends/svm_amd/native/svm_state.h"
#include "backends/svm_amd/native/svm_vcpu.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint64_t kRflagsBits = 0x3F7FD7;  // those that there are

}  // namespace

// ---- Registers --------------------------------------------------------------

void SvmVcpu::FillWanted() {
  if (frame_.registers.wanted != kNoRegisters)
    fetch_registers(frame_.registers.wanted);
}

Result SvmVcpu::fetch_registers(RegisterSet groups) {
  if (!Settle(nullptr)) {
    last_error_ = EBUSY;
    return Result::kError;
  }
  const RegisterSet missing =
      groups & static_cast<RegisterSet>(~frame_.registers.cached);
  const VmcbSave& save = frame_.vmcb.save;
  if ((missing & kGeneralRegisters) != 0) {
    GeneralRegisters& general = frame_.registers.general;
    general.rsp = save.rsp;
    general.rip = save.rip;
    general.rflags = save.rflags;
    general_before_ = general;
  }
  if ((missing & kSpecialRegisters) != 0) {
    if (!switches_all_ && parts_.cpu.enabled()) parts_.cpu.Save(*this);
    SpecialFromVmcb(frame_.vmcb, frame_.registers.special);
    frame_.registers.special.apic_base = apic_base_;
  }
  frame_.registers.cached |= groups;
  return Result::kOk;
}

Result SvmVcpu::commit_registers() {
  if (!Settle(nullptr)) {
    last_error_ = EBUSY;
    return Result::kError;
  }
  return frame_.registers.dirty == kNoRegisters ? Result::kOk : SendDirty();
}

Result SvmVcpu::SendDirty() {
  const RegisterSet dirty = frame_.registers.dirty;
  frame_.registers.dirty = kNoRegisters;
  VmcbSave& save = frame_.vmcb.save;
  if ((dirty & kSpecialRegisters) != 0) {
    if (!switches_all_) parts_.cpu.Save(*this);
    const VmcbSave before = save;
    const std::uint32_t virtual_interrupt =
        frame_.vmcb.control.virtual_interrupt;
    SpecialToVmcb(frame_.registers.special, frame_.vmcb);
    if (!IsPossibleState(frame_.registers.special) ||
        FirstBrokenRule(frame_.vmcb, parts_.limits) != nullptr) {
      save = before;
      frame_.vmcb.control.virtual_interrupt = virtual_interrupt;
      if ((dirty & kGeneralRegisters) != 0) {
        frame_.registers.general = general_before_;
      }
      frame_.registers.cached = kNoRegisters;
      last_error_ = EINVAL;
      return Result::kError;
    }
    apic_base_ = frame_.registers.special.apic_base;
    frame_.work.Touch(frame_.vmcb, SvmClean::kAll);
    frame_.work.before |= EntryWork::kFlush;
    if (!switches_all_) frame_.work.before |= EntryWork::kLoad;
  }
  if ((dirty & kGeneralRegisters) != 0) {
    const GeneralRegisters& general = frame_.registers.general;
    // Elsewhere nothing casts a shadow.
    if (save.rip != general.rip) frame_.vmcb.control.interrupt_shadow = 0;
    save.rip = general.rip;
    save.rsp = general.rsp;
    save.rflags = (general.rflags & kRflagsBits) | kRflagsFixed;
    general_before_ = general;
  }
  return Result::kOk;
}

// ---- Events -----------------------------------------------------------------

bool SvmVcpu::InterruptsOn() const {
  const std::uint64_t rflags = (frame_.registers.dirty & kGeneralRegisters) != 0
                                   ? frame_.registers.general.rflags
                                   : frame_.vmcb.save.rflags;
  const bool shadowed = (frame_.vmcb.control.interrupt_shadow &
                         SvmInterruptShadow::kShadow) != 0 &&
                        !completion_.pending();
  return (rflags & kRflagsIf) != 0 && !shadowed;
}

bool SvmVcpu::interrupt_allowed() { return !events_.busy() && InterruptsOn(); }

InjectResult SvmVcpu::inject_irq(std::uint8_t vector) {
  return events_.AcceptIrq(vector, InterruptsOn());
}

void SvmVcpu::request_irq_window(bool wanted) {
  events_.RequestIrqWindow(wanted);
  if (wanted && parts_.misses_open_window) {
    frame_.work.before |= EntryWork::kIrqWindow;
  } else {
    frame_.work.before &= ~EntryWork::kIrqWindow;
  }
}

InjectResult SvmVcpu::inject_nmi() {
  return events_.AcceptNmi((frame_.vmcb.control.interrupt_shadow &
                            SvmInterruptShadow::kShadow) != 0);
}

InjectResult SvmVcpu::inject_exception(const Event& event) {
  return events_.AcceptException(event);
}

void SvmVcpu::RaiseException(std::uint8_t vector, bool has_error_code,
                             std::uint32_t error_code) {
  events_.RaiseException({.kind = EventKind::kException,
                          .vector = vector,
                          .has_error_code = has_error_code,
                          .error_code = error_code});
}

// ---- What else is asked -----------------------------------------------------

KickHandle SvmVcpu::kick_handle() {
  frame_.kick->Ref();
  return KickHandle(frame_.kick);
}

OptionalValue SvmVcpu::exit_detail(ExitDetail detail) {
  const VmcbControl& control = frame_.vmcb.control;
  const VmcbSave& save = frame_.vmcb.save;
  const auto known = [](std::uint64_t value) {
    return OptionalValue{.known = true, .value = value};
  };
  switch (detail) {
    case ExitDetail::kRip:
      return known(frame_.exit_rip);
    case ExitDetail::kInstructionLength:
      if (frame_.has_nrip && control.next_rip != 0) {
        return known(control.next_rip - frame_.exit_rip);
      }
      if (save.rip == frame_.exit_rip) return {};
      return known(save.rip - frame_.exit_rip);
    case ExitDetail::kRflags:
      return known(save.rflags);
    case ExitDetail::kInterruptFlag:
      return known((save.rflags & kRflagsIf) != 0 ? 1 : 0);
    case ExitDetail::kInterruptShadow:
      return known(control.interrupt_shadow & SvmInterruptShadow::kShadow);
    case ExitDetail::kGuestPhysicalAddress:
      if (code() != static_cast<std::uint64_t>(SvmExitCode::kNpf)) return {};
      return known(control.exit_info2);
    case ExitDetail::kSvmInfo1:
      return known(control.exit_info1);
    case ExitDetail::kSvmInfo2:
      return known(control.exit_info2);
    default:
      return {};
  }
}

OptionalValue SvmVcpu::counter(Counter counter) const {
  std::uint64_t value = counters_[static_cast<std::size_t>(counter)];
  switch (counter) {
    case Counter::kExits:
      value = exits_ + frame_.hypercalls + frame_.cpuids;
      break;
    case Counter::kHypercalls:
      value += frame_.hypercalls;
      break;
    case Counter::kIrqInjections:
      value = events_.irqs_injected();
      break;
    case Counter::kNmiInjections:
      value = events_.nmis_injected();
      break;
    case Counter::kHaltPollSuccesses:
      return {};
    default:
      break;
  }
  return {.known = true, .value = value};
}

}  // namespace worldswitch::svm
