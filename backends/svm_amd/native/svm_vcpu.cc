#include "backends/svm_amd/native/svm_vcpu.h"

#include <cerrno>

#include "backends/svm_amd/native/svm_state.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint8_t kGeneralProtection = 13;
// What the last exit waits for.
constexpr std::uint32_t kAnswers =
    EntryWork::kComplete | EntryWork::kTimeStamp | EntryWork::kPortValue;
constexpr std::uint64_t kApicBaseReset = 0xFEE00900;  // enabled, of the BSP

bool On(const SvmVmParts& parts, SvmKnob knob) {
  return Value(parts.knobs, knob) != 0;
}

}  // namespace

SvmVcpu::SvmVcpu(SvmVmParts& parts, const HostPages& pages, SvmKickTarget* kick,
                 std::uint32_t asid)
    : switches_all_(
          static_cast<VmloadPolicy>(Value(parts.knobs, SvmKnob::kVmload)) ==
          VmloadPolicy::kEveryExit),
      parts_(parts),
      events_(
          frame_.vmcb, frame_.work,
          static_cast<VirtualIrq>(Value(parts.knobs, SvmKnob::kVirtualIrq))),
      debug_registers_(parts.spares_data_breakpoints),
      clean_(parts.features.clean_bits() && On(parts, SvmKnob::kCleanBits)
                 ? SvmClean::kAll
                 : 0),
      apic_base_(kApicBaseReset) {
  frame_.vmcb_pa = pages.physical() +
                   static_cast<std::uint64_t>(
                       reinterpret_cast<std::byte*>(&frame_.vmcb) - pages.as());
  frame_.kick = kick;
  if (Of(&frame_) != this) __builtin_trap();
  frame_.has_nrip = parts.features.nrip() && On(parts, SvmKnob::kNrip);
  ResetSvmState(frame_.vmcb);
  SetControls(asid);
  frame_.work.before = EntryWork::kFlush;
  frame_.work.before |=
      switches_all_ ? EntryWork::kSwitchAll : EntryWork::kLoad;
  const auto flush =
      static_cast<TlbFlush>(Value(parts.knobs, SvmKnob::kTlbFlush));
  if (flush == TlbFlush::kAsidAlways || flush == TlbFlush::kAllAlways) {
    frame_.work.before |= EntryWork::kFlushAlways;
  }
}

SvmVcpu::~SvmVcpu() {
  if (parts_.cpu.enabled()) parts_.cpu.Put(*this);
  frame_.kick->Unref();
}

void SvmVcpu::SetControls(std::uint32_t asid) {
  VmcbControl& control = frame_.vmcb.control;
  control.intercepts1 = SvmIntercept1::kIntr | SvmIntercept1::kNmi |
                        SvmIntercept1::kInit | SvmIntercept1::kInvd |
                        SvmIntercept1::kHlt | SvmIntercept1::kRsm |
                        SvmIntercept1::kInvlpga | SvmIntercept1::kShutdown;
  // What of SVM a guest could use is not there; MONITOR and MWAIT would leave
  // the processor waiting for the guest.
  control.intercepts2 = SvmIntercept2::kVmrun | SvmIntercept2::kVmmcall |
                        SvmIntercept2::kVmload | SvmIntercept2::kVmsave |
                        SvmIntercept2::kStgi | SvmIntercept2::kClgi |
                        SvmIntercept2::kSkinit | SvmIntercept2::kMonitor |
                        SvmIntercept2::kMwait | SvmIntercept2::kXsetbv;
  if (static_cast<IoBitmap>(Value(parts_.knobs, SvmKnob::kIoBitmap)) ==
      IoBitmap::kAll) {
    control.intercepts1 |= SvmIntercept1::kIoio;
  }
  if (static_cast<MsrBitmap>(Value(parts_.knobs, SvmKnob::kMsrBitmap)) !=
      MsrBitmap::kNone) {
    control.intercepts1 |= SvmIntercept1::kMsr;
  }
  control.dr_read_intercepts = control.dr_write_intercepts = 0xFFFF;
  control.exception_intercepts = static_cast<std::uint32_t>(
      Value(parts_.knobs, SvmKnob::kExceptionBitmap));
  control.pause_filter_count = static_cast<std::uint16_t>(
      Value(parts_.knobs, SvmKnob::kPauseFilterCount));
  control.pause_filter_threshold = static_cast<std::uint16_t>(
      Value(parts_.knobs, SvmKnob::kPauseFilterThreshold));
  if (control.pause_filter_count != 0) {
    control.intercepts1 |= SvmIntercept1::kPause;
  }
  control.iopm_base_pa = parts_.iopm_pa;
  control.msrpm_base_pa = parts_.msrs.map_pa();
  control.guest_asid = asid;
  control.virtual_interrupt = SvmVirtualInterrupt::kMasking;
  control.nested_control = SvmNestedControl::kNestedPaging;
  control.nested_cr3 = parts_.memory.nested_cr3();
  frame_.work.Touch(frame_.vmcb, SvmClean::kAll);
}

void SvmVcpu::SetEnabled(bool enabled) {
  if (enabled) {
    frame_.work.before &= ~EntryWork::kDisabled;
    frame_.work.before |= EntryWork::kFlush;
    frame_.work.Touch(frame_.vmcb, SvmClean::kAll);
  } else {
    frame_.work.before |= EntryWork::kDisabled;
  }
}

void SvmVcpu::StateLeft() {
  // The other one may have the same ASID.
  frame_.work.before |= EntryWork::kFlush;
  if (!switches_all_) frame_.work.before |= EntryWork::kLoad;
}

// ---- The way in -------------------------------------------------------------

Exit SvmVcpu::RunWithWork() {
  Exit early;
  if (!PrepareEntry(&early)) return early;
  GeneralRegisters& general = frame_.registers.general;
  frame_.vmcb.save.rax = general.rax;
  if (ClgiAndTest(frame_.kick->word())) return Interrupted();
  const bool breakpoints = debug_registers_.armed();
  if (breakpoints) debug_registers_.Exchange();
  if (switches_all_) {
    SwitchAll(&general, parts_.cpu.host_state_pa());
  } else {
    Switch(&general);
  }
  if (breakpoints) debug_registers_.Exchange();
  general.rax = frame_.vmcb.save.rax;
  frame_.registers.cached = kNoRegisters;
  return FinishExit();
}

bool SvmVcpu::PrepareEntry(Exit* early) {
  if ((frame_.work.before & EntryWork::kDisabled) != 0) {
    last_error_ = ENXIO;
    *early = MakeExit(ExitReason::kError, 0, ENXIO);
    return false;
  }
  if (!Settle(early)) return false;
  if (frame_.registers.dirty != kNoRegisters && SendDirty() != Result::kOk) {
    *early = MakeExit(ExitReason::kError, 0, last_error_);
    return false;
  }
  if ((frame_.work.before & EntryWork::kNmiWindow) != 0 &&
      !frame_.kick->raised() && events_.TakeOpenNmiWindow()) {
    *early = MakeExit(ExitReason::kNmiWindow, code());
    FillWanted();
    return false;
  }
  if ((frame_.work.before & EntryWork::kIrqWindow) != 0 &&
      !frame_.kick->raised() && interrupt_allowed()) {
    request_irq_window(false);
    *early = MakeExit(ExitReason::kIrqWindow,
                      static_cast<std::uint64_t>(SvmExitCode::kVintr));
    FillWanted();
    return false;
  }
  LoadAndFlush();
  if ((frame_.work.before & EntryWork::kVerify) != 0) {
    frame_.work.before &= ~EntryWork::kVerify;
    broken_ = FirstBrokenRule(frame_.vmcb, parts_.limits);
  }
  return true;
}

void SvmVcpu::LoadAndFlush() {
  if ((frame_.work.before & EntryWork::kLoad) != 0) {
    parts_.cpu.Load(*this);
    frame_.work.before &= ~EntryWork::kLoad;
  }
  constexpr std::uint32_t kFlushes =
      EntryWork::kFlush | EntryWork::kFlushAlways;
  if ((frame_.work.before & kFlushes) == 0) return;
  const auto flush =
      static_cast<TlbFlush>(Value(parts_.knobs, SvmKnob::kTlbFlush));
  const bool by_asid =
      (flush == TlbFlush::kAsid || flush == TlbFlush::kAsidAlways) &&
      parts_.features.flush_by_asid();
  frame_.vmcb.control.tlb_control =
      by_asid ? SvmTlbControl::kThisAsid : SvmTlbControl::kAll;
  frame_.work.before &= ~EntryWork::kFlush;
  frame_.work.after |= EntryWork::kFlushed;
}

// The answers that the last exit waits for.
bool SvmVcpu::Settle(Exit* second) {
  if ((frame_.work.before & kAnswers) == 0) return true;
  GeneralRegisters& general = frame_.registers.general;
  if (completion_.mid_instruction()) {
    // Read and written: the second access, without an entry in between.
    if (second == nullptr) return false;
    second->reason = ExitReason::kMmio;
    second->raw = code();
    if (completion_.NextAccess(general, &second->mmio)) {
      ++counters_[static_cast<std::size_t>(Counter::kMmioExits)];
      return false;
    }
  }
  if ((frame_.work.before & EntryWork::kTimeStamp) != 0) {
    SetRegister(general.rax, time_stamp_[0], 4);
    SetRegister(general.rdx, time_stamp_[0] >> 32, 4);
    if (time_stamp_has_aux_) SetRegister(general.rcx, time_stamp_[1], 4);
  }
  if ((frame_.work.before & EntryWork::kPortValue) != 0) {
    SetRegister(general.rax, port_value_, port_bytes_);
  }
  frame_.work.before &= ~kAnswers;
  if (!completion_.pending()) return true;
  VmcbSave& save = frame_.vmcb.save;
  general.rsp = save.rsp;
  general.rflags = save.rflags;
  const ExitCompletion::Effect effect = completion_.Finish(general);
  save.rsp = general.rsp;
  save.rflags = general.rflags;
  if (effect.general_protection) {
    RaiseException(kGeneralProtection, true, 0);
  } else if (effect.advance != 0) {
    frame_.exit_rip = save.rip;
    save.rip += effect.advance;
    frame_.vmcb.control.interrupt_shadow = 0;
  }
  return true;
}

// ---- The way out ------------------------------------------------------------

Exit SvmVcpu::Interrupted() {
  Stgi();
  frame_.kick->Take();
  ++counters_[static_cast<std::size_t>(Counter::kSignalExits)];
  FillWanted();
  return MakeExit(ExitReason::kInterrupted);
}

Exit SvmVcpu::FinishExit() {
  const bool entered = !IsSvmEntryFailure(code());
  frame_.exit_rip = frame_.vmcb.save.rip;
  ++exits_;
  if (entered) {
    if ((frame_.work.after & EntryWork::kTouched) != 0) {
      frame_.vmcb.control.clean = clean_;
      frame_.work.after &= ~EntryWork::kTouched;
    }
    if ((frame_.work.after & EntryWork::kFlushed) != 0) {
      frame_.vmcb.control.tlb_control = SvmTlbControl::kNone;
      frame_.work.after &= ~EntryWork::kFlushed;
      ++counters_[static_cast<std::size_t>(Counter::kTlbFlushes)];
    }
  }
  constexpr std::uint32_t kEvents = EntryWork::kEvent | EntryWork::kNmi;
  if ((frame_.work.after & kEvents) != 0 ||
      SvmInterruption::kValid.IsSet(frame_.vmcb.control.exit_int_info)) {
    events_.AfterExit(entered);
  }
  const Exit exit = entered ? Decode() : RefusedEntry();
  if (frame_.registers.wanted != kNoRegisters && !completion_.pending())
    FillWanted();
  return exit;
}

Exit SvmVcpu::RefusedEntry() {
  const std::uint64_t normal = NormalSvmExitCode(code());
  failure_ = {
      .kind = normal == static_cast<std::uint64_t>(SvmExitCode::kInvalid)
                  ? SvmFailure::Kind::kInvalid
                  : SvmFailure::Kind::kBusy,
      .exit_code = code(),
      .rule = broken_ != nullptr ? broken_
                                 : FirstBrokenRule(frame_.vmcb, parts_.limits)};
  frame_.work.Touch(frame_.vmcb, SvmClean::kAll);
  Exit exit;
  exit.reason = ExitReason::kEntryFailure;
  exit.raw = normal;
  exit.entry_failure = {.hardware_reason = code(), .cpu = ~0u};
  return exit;
}

Disposition SvmVcpu::handle_exit(const Exit& exit) {
  if (!exit.for_backend) return Disposition::kToCaller;
  if (exit.reason == ExitReason::kPageFault) {
    if (!parts_.memory.Serve(exit.page_fault.gpa)) {
      return Disposition::kToCaller;
    }
    ++counters_[static_cast<std::size_t>(Counter::kPageFaultsFixed)];
    frame_.work.before |= EntryWork::kFlush;
  }
  return Disposition::kResume;
}

}  // namespace worldswitch::svm
