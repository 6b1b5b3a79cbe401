// Making a vCPU, the runs that are not the plain one, registers, events.

#include "backends/vmx_intel/native/vmx_vcpu.h"

#include "backends/native/error_number.h"
#include "backends/vmx_intel/native/vmx_host_state.h"

namespace worldswitch {
namespace {

using Word = VmxControlWord;

constexpr std::uint32_t kRevisionMask = 0x7fff'ffff;
constexpr unsigned kCapInvvpidSingle = 41;  // of IA32_VMX_EPT_VPID_CAP

constexpr std::uint8_t kGeneralProtection = 13;
constexpr std::uint8_t kDebugException = 1;
constexpr std::uint8_t kAlignmentCheck = 17;

}  // namespace

VmxVcpu::VmxVcpu(VmxShared& shared)
    : shared_(shared),
      words_(vmcs_),
      state_(vmcs_, words_),
      events_(vmcs_),
      timer_(vmcs_, words_) {
  if (Of(&frame_) != this) __builtin_trap();
  frame_.attention = kLaunchDue | kNotCurrent;
}

VmxVcpu::~VmxVcpu() {
  if (kick_ != nullptr) kick_->Detach();
  if (!vmcs_.exists()) return;
  vmcs_.Clear();
  if (shared_.cpu.current == this) shared_.cpu.current = nullptr;
}

bool VmxVcpu::Create(const char** why) {
  const VmxCapabilities& capabilities = shared_.capabilities;
  const auto revision = static_cast<std::uint32_t>(
      capabilities.Value(VmxMsr::kBasic) & kRevisionMask);
  if (!vmcs_.Create(shared_.host, revision) ||
      !landing_.Create(shared_.host, &frame_)) {
    *why = "no page left for a VMCS";
    return false;
  }
  kick_ = VmxKick::Create(shared_.host, this);
  if (kick_ == nullptr) {
    *why = "no page left for a kick handle";
    return false;
  }
  timer_.Create(capabilities, shared_.timer_ticks);
  MakeCurrent();
  words_.WriteAll(shared_.plan);
  WriteHostState(vmcs_, words_);
  WriteHostEntry(vmcs_, reinterpret_cast<std::uint64_t>(ws_vmx_exit),
                 landing_.rsp());
  WriteExceptionBitmap();
  for (const VmcsField field :
       {VmcsField::kPageFaultErrorMask, VmcsField::kPageFaultErrorMatch,
        VmcsField::kCr3TargetCount, VmcsField::kExitMsrStoreCount,
        VmcsField::kExitMsrLoadCount, VmcsField::kEntryMsrLoadCount,
        VmcsField::kEntryInterruption, VmcsField::kEntryErrorCode,
        VmcsField::kEntryInstructionLength}) {
    vmcs_.Write(field, 0);
  }
  vmcs_.Write(VmcsField::kEptp, shared_.memory.eptp());
  if (words_.IsSet(Word::kSecondary, vmx::kEnableVpid)) {
    vpid_ = ++shared_.cpu.last_vpid;
    if (vpid_ == 0) vpid_ = shared_.cpu.last_vpid = 1;
    vmcs_.Write(VmcsField::kVpid, vpid_);
    FlushLinear();  // whoever had the number before
  }
  if (words_.IsSet(Word::kPrimary, vmx::kUseMsrBitmaps)) {
    vmcs_.Write(VmcsField::kMsrBitmap, shared_.msr_bitmap);
  }
  if (words_.IsSet(Word::kPrimary, vmx::kUseIoBitmaps)) {
    vmcs_.Write(VmcsField::kIoBitmapA, shared_.io_bitmap_a);
    vmcs_.Write(VmcsField::kIoBitmapB, shared_.io_bitmap_b);
  }
  if (words_.IsSet(Word::kSecondary, vmx::kPauseLoopExiting)) {
    vmcs_.Write(VmcsField::kPleGap, shared_.ple_gap);
    vmcs_.Write(VmcsField::kPleWindow, shared_.ple_window);
  }
  state_.WriteReset(VmxFixedBits(capabilities));
  timer_.Write();
  if (vmcs_.refused().status != VmxStatus::kSucceeded) {
    *why = "the CPU has no VMCS field that its capabilities promise";
    return false;
  }
  return true;
}

void VmxVcpu::MakeCurrent() {
  VmxVcpu*& current = shared_.cpu.current;
  if (current == this) return;
  if (current != nullptr) current->Attend(kNotCurrent);
  vmcs_.Load();
  current = this;
  AttendNoMore(kNotCurrent);
  // The host may be another one by now, in address space or segments.
  if (!Attending(kLaunchDue)) WriteHostState(vmcs_, words_);
}

void VmxVcpu::Relaunch() {
  vmcs_.Clear();
  vmcs_.Load();
  launched_ = false;
  Attend(kLaunchDue);
}

void VmxVcpu::WriteExceptionBitmap() {
  // A guest can keep the CPU in an endless chain of these, each raised by the
  // delivery of the one before, which nothing but their exits ends.
  vmcs_.Write(VmcsField::kExceptionBitmap, shared_.asked_exceptions |
                                               1u << kDebugException |
                                               1u << kAlignmentCheck);
}

void VmxVcpu::FlushLinear() {
  if (vpid_ == 0) return;
  const bool single =
      (shared_.capabilities.Value(VmxMsr::kEptVpidCap) >> kCapInvvpidSingle &
       1) != 0;
  vmx::Invvpid(single ? vmx::kSingleContext : vmx::kAllContexts,
               {.first = single ? vpid_ : std::uint64_t{0}, .second = 0});
  Count(Counter::kTlbFlushes);
}

// ---- Runs -------------------------------------------------------------------

// The instruction that exited was behind an STI or MOV SS, whose shadow ends
// with it.
Exit VmxVcpu::RunInShadow() {
  vmcs_.CountRead();  // of that
  return RunWithWork();
}

Exit VmxVcpu::RunWithWork() {
  if (Attending(kKicked)) {
    AttendNoMore(kKicked);
    const Exit exit = MakeExit(ExitReason::kInterrupted, 0, kErrnoInterrupted);
    if (frame_.file.wanted != kNoRegisters) CacheWanted(exit);
    return exit;
  }
  MakeCurrent();
  Exit next;
  if (completion_.NextAccess(general(), &next.mmio)) {
    next.reason = ExitReason::kMmio;
    next.raw = vmcs_.Read(VmcsField::kExitReason);
    return next;
  }
  CompletePending();
  AttendNoMore(kCompleted | kCached);
  if (frame_.file.dirty != kNoRegisters && !SendDirty()) {
    return MakeExit(ExitReason::kError, 0, last_error_);
  }
  frame_.file.cached = kNoRegisters;
  if (Attending(kEventHeld)) OfferHeld();
  if (events_.busy()) events_.WriteForEntry();
  AttendNoMore(kEventDue);
  bool armed_once = false;
  if (Attending(kTimerDue)) {
    AttendNoMore(kTimerDue);
    armed_once = timer_.Write();
  }
  const bool breakpoints = debug_registers_.armed();
  if (breakpoints) debug_registers_.Exchange();
  const Exit exit = Enter(&frame_, !launched_);
  if (breakpoints) debug_registers_.Exchange();
  if (Attending(kLaunchDue) && exit.reason != ExitReason::kEntryFailure) {
    launched_ = true;
    AttendNoMore(kLaunchDue);
  }
  VmxEventType delivered = {};
  if (events_.TakeDelivered(&delivered)) {
    if (delivered == VmxEventType::kNmi) Count(Counter::kNmiInjections);
    if (delivered == VmxEventType::kExternalInterrupt) {
      Count(Counter::kIrqInjections);
    }
  }
  if (armed_once) {
    timer_.Disarm();
    Attend(kTimerDue);
  }
  if (frame_.file.wanted != kNoRegisters) CacheWanted(exit);
  return exit;
}

Exit VmxVcpu::EndFailedEntry() {
  AttendNoMore(kSkipDue);
  failure_ = {};
  if (frame_.fail_invalid) {
    failure_.kind = VmxEntryFailure::Kind::kFailInvalid;
  } else {
    failure_.kind = VmxEntryFailure::Kind::kFailValid;
    failure_.instruction_error =
        static_cast<std::uint32_t>(vmcs_.Read(VmcsField::kInstructionError));
  }
  events_.KeepAccepted();
  if (events_.busy()) Attend(kEventDue);
  Relaunch();
  return ExitOf(failure_);
}

Exit VmxVcpu::EndFailedGuestState(std::uint32_t reason) {
  failure_ = {.kind = VmxEntryFailure::Kind::kEntryFailed,
              .instruction_error = 0,
              .exit_reason = reason,
              .qualification = vmcs_.Read(VmcsField::kExitQualification)};
  events_.KeepAccepted();
  if (events_.busy()) Attend(kEventDue);
  Relaunch();
  return ExitOf(failure_);
}

void VmxVcpu::CompletePending() {
  if (!Attending(kSkipDue | kCompletionDue)) return;
  completed_rip_ = vmcs_.Read(VmcsField::kGuestRip);
  Attend(kCompleted);
  if (Attending(kSkipDue)) {
    SkipInstruction();
    EndInterruptShadow(Vmcs::ReadUncounted(VmcsField::kGuestInterruptibility));
    AttendNoMore(kSkipDue);
  }
  if (!Attending(kCompletionDue)) return;
  AttendNoMore(kCompletionDue);
  if (access_ != Access::kNone) CompleteAccess();
  if (!completion_.pending()) return;
  // Decoding has read these two; a device access may have changed them.
  const std::uint64_t rsp = general().rsp;
  const std::uint64_t rflags = general().rflags;
  const ExitCompletion::Effect effect = completion_.Finish(general());
  if (general().rsp != rsp) vmcs_.Write(VmcsField::kGuestRsp, general().rsp);
  if (general().rflags != rflags) {
    vmcs_.Write(VmcsField::kGuestRflags, general().rflags);
  }
  if (effect.general_protection) {
    RaiseException(kGeneralProtection, true);
  } else if (effect.advance != 0) {
    AdvanceRip(effect.advance);
  }
}

void VmxVcpu::AdvanceRip(std::uint64_t length) {
  vmcs_.Write(VmcsField::kGuestRip, vmcs_.Read(VmcsField::kGuestRip) + length);
  EndInterruptShadow(vmcs_.Read(VmcsField::kGuestInterruptibility));
}

void VmxVcpu::EndInterruptShadow(std::uint64_t interruptibility) {
  if ((interruptibility & vmx::kInterruptShadow) == 0) return;
  vmcs_.Write(VmcsField::kGuestInterruptibility,
              interruptibility & ~vmx::kInterruptShadow);
}

// ---- Registers --------------------------------------------------------------

Result VmxVcpu::fetch_registers(RegisterSet groups) {
  MakeCurrent();
  if (InMidInstruction()) {
    last_error_ = kErrnoBusy;
    return Result::kError;
  }
  CompletePending();
  RegisterFile& file = frame_.file;
  const auto missing = static_cast<RegisterSet>(groups & ~file.cached);
  if ((missing & kGeneralRegisters) != 0) {
    file.general.rsp = vmcs_.Read(VmcsField::kGuestRsp);
    file.general.rip = vmcs_.Read(VmcsField::kGuestRip);
    file.general.rflags = vmcs_.Read(VmcsField::kGuestRflags);
    fetched_ = file.general;
  }
  if ((missing & kSpecialRegisters) != 0) {
    state_.Read(&file.special);
    file.special.cr2 = frame_.cr2;
  }
  file.cached |= groups;
  Attend(kCached);
  return Result::kOk;
}

Result VmxVcpu::commit_registers() {
  MakeCurrent();
  return SendDirty() ? Result::kOk : Result::kError;
}

bool VmxVcpu::SendDirty() {
  RegisterFile& file = frame_.file;
  const RegisterSet dirty = file.dirty;
  file.dirty = kNoRegisters;
  if ((dirty & kSpecialRegisters) != 0) {
    if (!state_.Valid(file.special, shared_.memory.view())) {
      if ((dirty & kGeneralRegisters) != 0) file.general = fetched_;
      file.cached = kNoRegisters;
      last_error_ = kErrnoInvalid;
      return false;
    }
    state_.Write(file.special, shared_.memory.view());
    frame_.cr2 = file.special.cr2;
    FlushLinear();
  }
  if ((dirty & kGeneralRegisters) != 0) {
    file.general.rflags |= x86::kFlagsFixed;
    // Elsewhere, or with interrupts off, no STI or MOV SS is in front of it.
    if (file.general.rip != fetched_.rip ||
        (file.general.rflags & x86::kFlagsInterrupt) == 0) {
      EndInterruptShadow(vmcs_.Read(VmcsField::kGuestInterruptibility));
      vmcs_.Write(VmcsField::kGuestPendingDebug, 0);
    }
    vmcs_.Write(VmcsField::kGuestRsp, file.general.rsp);
    vmcs_.Write(VmcsField::kGuestRip, file.general.rip);
    vmcs_.Write(VmcsField::kGuestRflags, file.general.rflags);
    fetched_ = file.general;
  }
  return true;
}

// REG.4. An exit whose result the caller has still to give is not complete.
void VmxVcpu::CacheWanted(const Exit& exit) {
  constexpr std::uint64_t kIncomplete =
      ReasonBit(ExitReason::kIo) | ReasonBit(ExitReason::kMmio) |
      ReasonBit(ExitReason::kRdmsr) | ReasonBit(ExitReason::kWrmsr) |
      ReasonBit(ExitReason::kTimeStamp) | ReasonBit(ExitReason::kEntryFailure);
  if ((ReasonBit(exit.reason) & kIncomplete) != 0 || InMidInstruction()) return;
  fetch_registers(frame_.file.wanted);
}

std::uint64_t VmxVcpu::Rflags() {
  if ((frame_.file.dirty & kGeneralRegisters) != 0) return general().rflags;
  return vmcs_.Read(VmcsField::kGuestRflags);
}

// As it will be behind the instruction that exited.
std::uint64_t VmxVcpu::Interruptibility() {
  const std::uint64_t state = vmcs_.Read(VmcsField::kGuestInterruptibility);
  return Attending(kSkipDue | kCompletionDue) ? state & ~vmx::kInterruptShadow
                                              : state;
}

// ---- The rest ---------------------------------------------------------------

OptionalValue VmxVcpu::exit_detail(ExitDetail detail) {
  MakeCurrent();
  const std::uint64_t reason = BasicReason(vmcs_.Read(VmcsField::kExitReason));
  const bool nested =
      reason == static_cast<std::uint64_t>(VmxExitReason::kEptViolation) ||
      reason == static_cast<std::uint64_t>(VmxExitReason::kEptMisconfiguration);
  switch (detail) {
    case ExitDetail::kRip:
      return {true, Attending(kCompleted) ? completed_rip_
                                          : vmcs_.Read(VmcsField::kGuestRip)};
    case ExitDetail::kInstructionLength:
      return {true, vmcs_.Read(VmcsField::kExitInstructionLength)};
    case ExitDetail::kRflags:
      return {true, Rflags()};
    case ExitDetail::kInterruptFlag:
      return {true, (Rflags() & x86::kFlagsInterrupt) != 0 ? 1u : 0u};
    case ExitDetail::kInterruptShadow:
      return {true,
              (Interruptibility() & vmx::kInterruptShadow) != 0 ? 1u : 0u};
    case ExitDetail::kGuestPhysicalAddress:
      if (!nested) return {};
      return {true, vmcs_.Read(VmcsField::kGuestPhysicalAddress)};
    case ExitDetail::kVmxQualification:
      return {true, vmcs_.Read(VmcsField::kExitQualification)};
    default:
      return {};
  }
}

KickHandle VmxVcpu::kick_handle() {
  kick_->Ref();
  return KickHandle(kick_);
}

OptionalValue VmxVcpu::counter(Counter counter) const {
  if (counter == Counter::kExits) return {true, exits()};
  constexpr std::uint32_t kKnown =
      1u << static_cast<unsigned>(Counter::kIoExits) |
      1u << static_cast<unsigned>(Counter::kMmioExits) |
      1u << static_cast<unsigned>(Counter::kHaltExits) |
      1u << static_cast<unsigned>(Counter::kIrqWindowExits) |
      1u << static_cast<unsigned>(Counter::kExternalIrqExits) |
      1u << static_cast<unsigned>(Counter::kIrqInjections) |
      1u << static_cast<unsigned>(Counter::kNmiInjections) |
      1u << static_cast<unsigned>(Counter::kPageFaultsTaken) |
      1u << static_cast<unsigned>(Counter::kPageFaultsFixed) |
      1u << static_cast<unsigned>(Counter::kTlbFlushes);
  const auto index = static_cast<unsigned>(counter);
  if ((kKnown >> index & 1) == 0) return {};
  return {true, counters_[index]};
}

}  // namespace worldswitch
