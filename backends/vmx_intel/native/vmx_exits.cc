// From an exit reason to the contract's Exit, and what of the exits is served
// here. Fields are read as an exit needs them.

#include "backends/native/error_number.h"
#include "backends/vmx_intel/native/vmx_vcpu.h"

namespace worldswitch {
namespace {

using Word = VmxControlWord;

constexpr std::uint32_t kValid = 1u << 31;
constexpr std::uint32_t kEventBits = kValid | 1u << 11 | 0x7ff;
constexpr std::uint64_t kNmiUnblocking = 1u << 12;  // EPT violation, exception

constexpr std::uint8_t kDebugException = 1;
constexpr std::uint8_t kInvalidOpcode = 6;
constexpr std::uint8_t kDoubleFault = 8;
constexpr std::uint8_t kPageFaultVector = 14;

constexpr unsigned kBasicStringInformation = 54;  // of IA32_VMX_BASIC

// The instruction-information field of INS and OUTS.
constexpr unsigned kInformationAddressSize = 7;  // 2 bits: 2, 4, 8 bytes
constexpr unsigned kInformationSegment = 15;     // 3 bits, ES to GS

// Exits of instructions that a guest has only with VMX of its own, or with
// SMX: here they do not exist.
bool IsMissingInstruction(std::uint64_t raw) {
  switch (static_cast<VmxExitReason>(raw)) {
    case VmxExitReason::kGetsec:
    case VmxExitReason::kVmclear:
    case VmxExitReason::kVmlaunch:
    case VmxExitReason::kVmptrld:
    case VmxExitReason::kVmptrst:
    case VmxExitReason::kVmread:
    case VmxExitReason::kVmresume:
    case VmxExitReason::kVmwrite:
    case VmxExitReason::kVmxoff:
    case VmxExitReason::kVmxon:
    case VmxExitReason::kInvept:
    case VmxExitReason::kInvvpid:
    case VmxExitReason::kVmfunc:
    case VmxExitReason::kEncls:
    case VmxExitReason::kEnclv:
    case VmxExitReason::kRsm:
      return true;
    default:
      return false;
  }
}

// By the host's IDT; on return they are off again.
void TakeHostInterrupts() { asm volatile("sti\n\tnop\n\tcli" : : : "memory"); }

}  // namespace

void VmxVcpu::SkipLater() {
  Attend(kSkipDue);
  ++skips_;
}

// Nothing but going on behind the instruction.
Exit VmxVcpu::Skipping(ExitReason reason, std::uint32_t raw) {
  SkipLater();
  return MakeExit(reason, raw);
}

Exit VmxVcpu::DecodeExit(std::uint32_t reason) {
  // A plain run skips and leaves the bit, since the next exit will most likely
  // set it again.
  AttendNoMore(kSkipDue);
  ++exits_;
  const auto vectoring =
      static_cast<std::uint32_t>(Vmcs::ReadUncounted(VmcsField::kIdtVectoring));
  // Bit 31: a failed entry, or an interrupted delivery.
  if (((reason | vectoring) & kValid) != 0) [[unlikely]] {
    if (VmxExitReasonField::kEntryFailure.IsSet(reason)) {
      return EndFailedGuestState(reason);
    }
    events_.TakeBack(vectoring);
    Attend(kEventDue);
  }
  const std::uint16_t basic = BasicReason(reason);
  switch (static_cast<VmxExitReason>(basic)) {
    case VmxExitReason::kHlt:
      Count(Counter::kHaltExits);
      return Skipping(ExitReason::kHlt, basic);
    case VmxExitReason::kIoInstruction:
      return DecodeIo();
    case VmxExitReason::kEptViolation:
    case VmxExitReason::kEptMisconfiguration:
      return DecodeNestedFault(basic);
    case VmxExitReason::kRdmsr:
    case VmxExitReason::kWrmsr:
      return DecodeMsr(basic);
    case VmxExitReason::kControlRegisterAccess:
      return DecodeControlRegister();
    case VmxExitReason::kMovDr:
      return DecodeDebugRegister();
    case VmxExitReason::kRdtsc:
    case VmxExitReason::kRdtscp:
      return DecodeTimeStamp(basic);
    case VmxExitReason::kExceptionOrNmi:
      return DecodeException();
    case VmxExitReason::kExternalInterrupt:
      return DecodeExternalInterrupt();
    case VmxExitReason::kInterruptWindow:
      return DecodeIrqWindow();
    case VmxExitReason::kNmiWindow:
      words_.Set(Word::kPrimary, vmx::kNmiWindow, false);
      return MakeExit(ExitReason::kNmiWindow, basic);
    case VmxExitReason::kTripleFault:
      return MakeExit(ExitReason::kShutdown, basic);
    case VmxExitReason::kPreemptionTimer:
      if (timer_.IsLimit()) {
        return MakeExit(ExitReason::kInterrupted, basic, kErrnoInterrupted);
      }
      return MakeExit(ExitReason::kPreemptionTimer, basic);
    case VmxExitReason::kXsetbv:
      return Skipping(ExitReason::kXsetbv, basic);
    case VmxExitReason::kWbinvd:
    case VmxExitReason::kInvd:
      return Skipping(ExitReason::kCacheControl, basic);
    case VmxExitReason::kPause:
      return Skipping(ExitReason::kPause, basic);
    case VmxExitReason::kMonitor:
    case VmxExitReason::kMwait:
      return Skipping(ExitReason::kMonitorMwait, basic);
    case VmxExitReason::kInvlpg:
      FlushLinear();
      return Skipping(ExitReason::kUnknown, basic);
    default:
      if (IsMissingInstruction(basic)) {
        return ForBackend(MakeExit(ExitReason::kUnknown, basic));
      }
      return MakeExit(ExitReason::kUnknown, basic);
  }
}

Exit VmxVcpu::DecodeIrqWindow() {
  // Spent by this exit (WIN.2).
  Count(Counter::kIrqWindowExits);
  words_.Set(Word::kPrimary, vmx::kInterruptWindow, false);
  Exit exit =
      MakeExit(ExitReason::kIrqWindow,
               static_cast<std::uint64_t>(VmxExitReason::kInterruptWindow));
  exit.for_backend = !irq_window_asked_;  // it is for a held event
  irq_window_asked_ = false;
  return exit;
}

Exit VmxVcpu::DecodeExternalInterrupt() {
  constexpr auto kRaw =
      static_cast<std::uint64_t>(VmxExitReason::kExternalInterrupt);
  Count(Counter::kExternalIrqExits);
  if (words_.IsSet(Word::kExit, vmx::kExitAcknowledge)) {
    const std::uint64_t information = vmcs_.Read(VmcsField::kExitInterruption);
    if ((information & kValid) != 0) {
      shared_.host.dispatch_interrupt(shared_.host.context,
                                      static_cast<std::uint8_t>(information));
    }
  } else {
    TakeHostInterrupts();  // it is pending still
  }
  // A handler that kicked: this is the answer.
  if (Attending(kKicked)) {
    AttendNoMore(kKicked);
    return MakeExit(ExitReason::kInterrupted, kRaw, kErrnoInterrupted);
  }
  return ForBackend(MakeExit(ExitReason::kExternalInterrupt, kRaw));
}

Exit VmxVcpu::DecodeException() {
  constexpr auto kRaw =
      static_cast<std::uint64_t>(VmxExitReason::kExceptionOrNmi);
  const auto information =
      static_cast<std::uint32_t>(vmcs_.Read(VmcsField::kExitInterruption));
  VmxEntryEvent event = {.information = information & kEventBits};
  if (event.type() == VmxEventType::kNmi) {
    // The host's. NMIs are blocked until its handler's IRET.
    asm volatile("int $2" : : : "memory");
    return ForBackend(MakeExit(ExitReason::kNmi, kRaw));
  }
  if ((information & kNmiUnblocking) != 0 && event.vector() != kDoubleFault) {
    vmcs_.Write(
        VmcsField::kGuestInterruptibility,
        vmcs_.Read(VmcsField::kGuestInterruptibility) | vmx::kBlockedByNmi);
  }
  if (event.has_error_code()) {
    event.error_code =
        static_cast<std::uint32_t>(vmcs_.Read(VmcsField::kExitErrorCode));
  }
  if (event.type() != VmxEventType::kHardwareException) {
    event.instruction_length = static_cast<std::uint32_t>(
        vmcs_.Read(VmcsField::kExitInstructionLength));
  }
  if (event.vector() == kPageFaultVector) {
    frame_.cr2 = vmcs_.Read(VmcsField::kExitQualification);
  }
  if (event.vector() == kDebugException) PrepareDebugException();
  // It goes on to the guest, unless the caller cancels it.
  if (!QueueException(event)) return MakeExit(ExitReason::kShutdown, kRaw);
  Exit exit;
  exit.reason = ExitReason::kException;
  exit.raw = kRaw;
  exit.exception = {.vector = event.vector(), .error_code = event.error_code};
  // One that only this engine asked for goes on to the guest unseen.
  exit.for_backend = (shared_.asked_exceptions >> event.vector() & 1) == 0;
  return exit;
}

// What the guest's #DB would have done before its delivery, had it not exited
// (SDM 3C, "VM Exits": DR6, DR7 and the shadow of an STI are as before it).
void VmxVcpu::PrepareDebugException() {
  constexpr std::uint64_t kGeneralDetect = 1u << 13;  // of DR7
  debug_registers_.Write(vmcs_, 6,
                         (debug_registers_.Read(vmcs_, 6) |
                          vmcs_.Read(VmcsField::kExitQualification)) &
                             0xffff'ffff);
  const std::uint64_t dr7 = vmcs_.Read(VmcsField::kGuestDr7);
  if ((dr7 & kGeneralDetect) != 0) {
    vmcs_.Write(VmcsField::kGuestDr7, dr7 & ~kGeneralDetect);
  }
  // With it, and a step pending, the entry would be refused.
  EndInterruptShadow(vmcs_.Read(VmcsField::kGuestInterruptibility));
}

Exit VmxVcpu::DecodeIo() {
  constexpr auto kRaw =
      static_cast<std::uint64_t>(VmxExitReason::kIoInstruction);
  const std::uint64_t qualification = vmcs_.Read(VmcsField::kExitQualification);
  Count(Counter::kIoExits);
  PortAccess access = {
      .port = static_cast<std::uint16_t>(
          VmxIoQualification::kPort.Of(qualification)),
      .size = static_cast<std::uint8_t>(
          VmxIoQualification::kSize.Of(qualification) + 1),
      .is_write = !VmxIoQualification::kIn.IsSet(qualification),
      .is_string = VmxIoQualification::kString.IsSet(qualification),
      .repeats = VmxIoQualification::kRep.IsSet(qualification)};
  Exit exit;
  exit.reason = ExitReason::kIo;
  exit.raw = kRaw;
  if (access.is_write && !access.is_string) {
    // The commonest: nothing to complete but RIP, the plain run's way.
    out_value_ = general().rax;
    exit.io = {.is_write = true,
               .size = access.size,
               .port = access.port,
               .count = 1,
               .data = &out_value_};
    SkipLater();
    return exit;
  }
  access.instruction_length =
      static_cast<std::uint8_t>(vmcs_.Read(VmcsField::kExitInstructionLength));
  if (!access.is_string) {
    exit.io = completion_.BeginIo(access, general());
    Attend(kCompletionDue);
    return exit;
  }
  general().rflags = vmcs_.Read(VmcsField::kGuestRflags);
  general().rsp = vmcs_.Read(VmcsField::kGuestRsp);
  const GuestView view(shared_.memory.view(), state_.Paging());
  std::uint8_t segment = 0;
  if ((shared_.capabilities.Value(VmxMsr::kBasic) >> kBasicStringInformation &
       1) != 0) {
    const std::uint64_t information =
        vmcs_.Read(VmcsField::kExitInstructionInformation);
    access.address_bytes = static_cast<std::uint8_t>(
        2u << (information >> kInformationAddressSize & 3));
    segment = static_cast<std::uint8_t>(information >> kInformationSegment & 7);
  } else {
    std::uint8_t bytes[kMaxInstructionBytes];
    const std::size_t count = view.Read(
        vmcs_.Read(VmcsField::kGuestCsBase) + vmcs_.Read(VmcsField::kGuestRip),
        bytes, access.instruction_length);
    const CodeSize code = CodeSizeOf(
        static_cast<std::uint32_t>(vmcs_.Read(VmcsField::kGuestCsAccessRights)),
        (state_.ReadEfer() & x86::kEferLma) != 0);
    const StringPrefixes prefixes = DecodeStringPrefixes(bytes, count, code);
    access.address_bytes = prefixes.address_bytes;
    segment = prefixes.segment;
  }
  if (!access.is_write) segment = 0;  // INS stores to ES, always
  access.segment_base = vmcs_.Read(
      SegmentField(VmcsField::kGuestEsBase, static_cast<VmcsSegment>(segment)));
  if (!completion_.BeginStringIo(access, view, general(), &exit.io)) {
    return MakeExit(ExitReason::kUnknown, kRaw);
  }
  Attend(kCompletionDue);
  return exit;
}

Exit VmxVcpu::DecodeMsr(std::uint32_t reason) {
  const bool is_write =
      reason == static_cast<std::uint32_t>(VmxExitReason::kWrmsr);
  Exit exit;
  exit.reason = is_write ? ExitReason::kWrmsr : ExitReason::kRdmsr;
  exit.raw = reason;
  exit.msr = completion_.BeginMsr(
      is_write,
      static_cast<std::uint8_t>(vmcs_.Read(VmcsField::kExitInstructionLength)),
      general());
  Attend(kCompletionDue);
  return exit;
}

Exit VmxVcpu::DecodeNestedFault(std::uint32_t reason) {
  const bool violation =
      reason == static_cast<std::uint32_t>(VmxExitReason::kEptViolation);
  const std::uint64_t gpa = vmcs_.Read(VmcsField::kGuestPhysicalAddress);
  // Of a misconfiguration nothing is known but the address.
  const std::uint64_t qualification =
      violation ? vmcs_.Read(VmcsField::kExitQualification) : 0;
  if (VmxEptViolationQualification::kNmiUnblocking.IsSet(qualification) &&
      !events_.busy()) {
    vmcs_.Write(
        VmcsField::kGuestInterruptibility,
        vmcs_.Read(VmcsField::kGuestInterruptibility) | vmx::kBlockedByNmi);
  }
  // A misconfigured page is nobody's.
  const bool is_memory = violation && shared_.memory.Contains(gpa);
  Exit exit;
  if (!is_memory) {
    if (DecodeMmio(reason, gpa, &exit)) return exit;
  } else {
    Count(Counter::kPageFaultsTaken);
  }
  exit.reason = ExitReason::kPageFault;
  exit.raw = reason;
  exit.page_fault = {.gpa = gpa, .access = qualification};
  // An alias is there, or as somebody asked for it.
  exit.for_backend = is_memory && gpa < shared_.memory.view().size;
  return exit;
}

bool VmxVcpu::DecodeMmio(std::uint32_t reason, std::uint64_t gpa, Exit* exit) {
  // An access of the processor's own, for an event's delivery: no instruction
  // tells what it was to be.
  if (events_.busy()) return false;
  const GuestView view(shared_.memory.view(), state_.Paging());
  std::uint8_t bytes[kMaxInstructionBytes];
  const std::size_t count = view.Read(
      vmcs_.Read(VmcsField::kGuestCsBase) + vmcs_.Read(VmcsField::kGuestRip),
      bytes, sizeof(bytes));
  const CodeSize code = CodeSizeOf(
      static_cast<std::uint32_t>(vmcs_.Read(VmcsField::kGuestCsAccessRights)),
      (state_.ReadEfer() & x86::kEferLma) != 0);
  MemoryInstruction instruction;
  if (!DecodeMemoryInstruction(bytes, count, code, &instruction)) return false;
  general().rsp = vmcs_.Read(VmcsField::kGuestRsp);
  general().rflags = vmcs_.Read(VmcsField::kGuestRflags);
  exit->reason = ExitReason::kMmio;
  exit->raw = reason;
  exit->mmio = completion_.BeginMmio(instruction, gpa, general());
  Attend(kCompletionDue);
  Count(Counter::kMmioExits);
  return true;
}

Disposition VmxVcpu::handle_exit(const Exit& exit) {
  if (!exit.for_backend) return Disposition::kToCaller;
  switch (exit.reason) {
    case ExitReason::kPageFault:
      if (!shared_.memory.Serve(exit.page_fault.gpa)) {
        return Disposition::kToCaller;
      }
      Count(Counter::kPageFaultsFixed);
      break;
    case ExitReason::kUnknown:
      if (events_.busy()) return Disposition::kToCaller;
      MakeCurrent();
      RaiseException(kInvalidOpcode, false);
      break;
    case ExitReason::kException:
      // The guest will have it. In a chain of them nothing else may interrupt:
      // not a guest that never gets to an instruction.
      TakeHostInterrupts();
      break;
    default:  // the host, or the guest, has had it
      break;
  }
  return Disposition::kResume;
}

}  // namespace worldswitch
