// An exit of the processor, made the contract's: which reason, what it carries,
// where the guest goes on (APM 2, 15.7 to 15.14; appendix C).

#include "backends/svm_amd/native/svm_segments.h"
#include "backends/svm_amd/native/svm_state.h"
#include "backends/svm_amd/native/svm_vcpu.h"
#include "backends/svm_amd/svm_exit_info.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint8_t kDebugException = 1;
constexpr std::uint8_t kInvalidOpcode = 6;
constexpr std::uint8_t kDoubleFault = 8;
constexpr std::uint32_t kWithErrorCode =
    1u << 8 | 0x1Fu << 10 | 1u << 17 | 1u << 21 | 1u << 29 | 1u << 30;
constexpr std::uint8_t kPageFaultVector = 14;

// What an exception comes to that interrupts the delivery of another event
// (APM 2, 8.2.9); where it exits instead, that is the hypervisor's to see.
enum class Combined : std::uint8_t { kSecond, kDoubleFault, kShutdown };

bool IsContributory(std::uint64_t vector) {
  return vector == 0 || (vector >= 10 && vector <= 13);
}

Combined Combine(std::uint64_t first, std::uint64_t second) {
  constexpr std::uint64_t kException = 3;
  if (!SvmInterruption::kValid.IsSet(first) ||
      SvmInterruption::kType.Of(first) != kException) {
    return Combined::kSecond;
  }
  const std::uint64_t vector = SvmInterruption::kVector.Of(first);
  const bool faults = IsContributory(second) || second == kPageFaultVector;
  if (vector == kDoubleFault && faults) return Combined::kShutdown;
  if ((IsContributory(vector) && IsContributory(second)) ||
      (vector == kPageFaultVector && faults)) {
    return Combined::kDoubleFault;
  }
  return Combined::kSecond;
}

constexpr std::uint64_t Code(SvmExitCode code) {
  return static_cast<std::uint64_t>(code);
}

}  // namespace

Exit SvmVcpu::Unknown() { return MakeExit(ExitReason::kUnknown, code()); }

// An exit by an instruction that is over with it.
Exit SvmVcpu::Instruction(ExitReason reason, std::uint8_t length) {
  if (!frame_.has_nrip) {
    // Prefixes are part of it.
    const DecodedInstruction here = DecodeHere();
    if (here.length == length) frame_.plain_rip = frame_.vmcb.save.rip;
    if (here.length != 0) length = here.length;
  }
  frame_.Skip(length);
  Exit exit;
  exit.reason = reason;
  exit.raw = code();
  return exit;
}

Exit SvmVcpu::Decode() {
  const std::uint64_t code = this->code();
  const auto count = [this](Counter counter) {
    ++counters_[static_cast<std::size_t>(counter)];
  };
  if (code < Code(SvmExitCode::kDr0Read)) {
    return DecodeRegisterAccess(ExitReason::kControlRegister, code);
  }
  if (code < Code(SvmExitCode::kException0)) {
    return DecodeRegisterAccess(ExitReason::kDebugRegister,
                                code - Code(SvmExitCode::kDr0Read));
  }
  if (code < Code(SvmExitCode::kIntr)) {
    return DecodeException(
        static_cast<std::uint32_t>(code - Code(SvmExitCode::kException0)));
  }
  switch (static_cast<SvmExitCode>(code)) {
    case SvmExitCode::kIntr:
      // It was taken at STGI; its handler may have kicked.
      count(Counter::kExternalIrqExits);
      if (frame_.kick->Take()) {
        count(Counter::kSignalExits);
        return MakeExit(ExitReason::kInterrupted, code);
      }
      return ForBackend(MakeExit(ExitReason::kExternalInterrupt, code));
    case SvmExitCode::kNmi:
      return ForBackend(MakeExit(ExitReason::kNmi, code));
    case SvmExitCode::kSmi:
    case SvmExitCode::kInit:
      return ForBackend(Unknown());
    case SvmExitCode::kVintr:
      count(Counter::kIrqWindowExits);
      events_.OnVintrExit();
      frame_.work.before &= ~EntryWork::kIrqWindow;
      return MakeExit(ExitReason::kIrqWindow, code);
    case SvmExitCode::kCpuid:
      Instruction(ExitReason::kCpuid, SvmFrame::kCpuidBytes);
      return frame_.CpuidExitNow();
    case SvmExitCode::kVmmcall:
      count(Counter::kHypercalls);
      Instruction(ExitReason::kHypercall, SvmFrame::kVmmcallBytes);
      return frame_.HypercallExitNow();
    case SvmExitCode::kHlt:
      count(Counter::kHaltExits);
      return Instruction(ExitReason::kHlt, 1);
    case SvmExitCode::kPause:
      return Instruction(ExitReason::kPause, 2);
    case SvmExitCode::kInvd:
    case SvmExitCode::kWbinvd:
      return Instruction(ExitReason::kCacheControl, 2);
    case SvmExitCode::kMonitor:
    case SvmExitCode::kMwait:
    case SvmExitCode::kMwaitConditional:
      return Instruction(ExitReason::kMonitorMwait, 3);
    case SvmExitCode::kXsetbv:
      return Instruction(ExitReason::kXsetbv, 3);
    case SvmExitCode::kRdtsc:
    case SvmExitCode::kRdtscp:
      return DecodeTimeStamp();
    case SvmExitCode::kIret:
      events_.OnIretExit();
      return ForBackend(Unknown());
    case SvmExitCode::kIoio:
      return DecodeIo();
    case SvmExitCode::kMsr:
      return DecodeMsr();
    case SvmExitCode::kNpf:
      return DecodeNestedPageFault();
    case SvmExitCode::kShutdown:
      // What the VMCB holds now is undefined (15.14.3): the guest is as after
      // INIT.
      ResetGuest();
      return MakeExit(ExitReason::kShutdown, code);
    case SvmExitCode::kVmrun:
    case SvmExitCode::kVmload:
    case SvmExitCode::kVmsave:
    case SvmExitCode::kStgi:
    case SvmExitCode::kClgi:
    case SvmExitCode::kSkinit:
    case SvmExitCode::kInvlpga:
    case SvmExitCode::kRsm:
      RaiseException(kInvalidOpcode);
      return ForBackend(Unknown());
    case SvmExitCode::kInvlpg:
    case SvmExitCode::kInvpcid: {
      Exit exit = Unknown();
      const DecodedInstruction here = DecodeHere();
      if (frame_.has_nrip || here.length != 0) frame_.Skip(here.length);
      return exit;
    }
    default:
      return Unknown();
  }
}

void SvmVcpu::ResetGuest() {
  ResetSvmState(frame_.vmcb);
  events_.Reset();
  frame_.work.Touch(frame_.vmcb, SvmClean::kAll);
  frame_.work.before |= EntryWork::kFlush;
  if (!switches_all_) frame_.work.before |= EntryWork::kLoad;
}

Exit SvmVcpu::DecodeException(std::uint32_t vector) {
  const bool has_error_code = (kWithErrorCode >> vector & 1) != 0 &&
                              (frame_.vmcb.save.cr0 & kCr0Pe) != 0;
  const auto error_code =
      has_error_code
          ? static_cast<std::uint32_t>(frame_.vmcb.control.exit_info1)
          : 0;
  if (vector == kDebugException && events_.OnDebugExit()) {
    return MakeExit(ExitReason::kNmiWindow, code());
  }
  Exit exit;
  exit.reason = ExitReason::kException;
  exit.raw = code();
  exit.exception = {.vector = vector, .error_code = error_code};
  // What its delivery would have done beside.
  if (vector == kPageFaultVector)
    frame_.vmcb.save.cr2 = frame_.vmcb.control.exit_info2;
  if ((parts_.asked_exceptions >> vector & 1) != 0) return exit;
  const std::uint64_t first = frame_.vmcb.control.exit_int_info;
  switch (Combine(first, vector)) {
    case Combined::kSecond:
      RaiseException(static_cast<std::uint8_t>(vector), has_error_code,
                     error_code);
      return ForBackend(exit);
    case Combined::kDoubleFault:
      RaiseException(kDoubleFault, (frame_.vmcb.save.cr0 & kCr0Pe) != 0, 0);
      return ForBackend(exit);
    case Combined::kShutdown:
      break;
  }
  ResetGuest();
  return MakeExit(ExitReason::kShutdown, code());
}

Exit SvmVcpu::DecodeIo() {
  ++counters_[static_cast<std::size_t>(Counter::kIoExits)];
  const std::uint64_t info = frame_.vmcb.control.exit_info1;
  VmcbSave& save = frame_.vmcb.save;
  PortAccess access;
  access.port = static_cast<std::uint16_t>(SvmIoioInfo::kPort.Of(info));
  access.size =
      static_cast<std::uint8_t>(SvmIoioInfo::kSize32.IsSet(info)   ? 4
                                : SvmIoioInfo::kSize16.IsSet(info) ? 2
                                                                   : 1);
  access.is_write = !SvmIoioInfo::kIn.IsSet(info);
  access.is_string = SvmIoioInfo::kString.IsSet(info);
  access.repeats = SvmIoioInfo::kRep.IsSet(info);
  // EXITINFO2 is the next RIP, with or without NRIPS.
  access.instruction_length =
      static_cast<std::uint8_t>(frame_.vmcb.control.exit_info2 - save.rip);
  GeneralRegisters& general = frame_.registers.general;
  Exit exit;
  exit.reason = ExitReason::kIo;
  exit.raw = code();
  if (!access.is_string) {
    // OUT is over; IN waits for its value, and for nothing else.
    port_value_ = access.is_write ? general.rax : 0;
    port_bytes_ = access.size;
    exit.io = {.is_write = access.is_write,
               .size = access.size,
               .port = access.port,
               .count = 1,
               .data = &port_value_};
    frame_.SkipTo(frame_.vmcb.control.exit_info2);
    if (!access.is_write) frame_.work.before |= EntryWork::kPortValue;
    return exit;
  }
  std::uint8_t bytes[kMaxInstructionBytes];
  const StringPrefixes prefixes =
      DecodeStringPrefixes(bytes, ReadInstruction(bytes), code_size());
  access.address_bytes = prefixes.address_bytes;
  const VmcbSegment* const segments[] = {&save.es, &save.cs, &save.ss,
                                         &save.ds, &save.fs, &save.gs};
  const unsigned index = access.is_write ? prefixes.segment : 0;
  // FS and GS may be in the processor only; in 64-bit mode only they have a
  // base.
  if (index >= 4 && !switches_all_) parts_.cpu.Save(*this);
  access.segment_base =
      code_size() == CodeSize::k64 && index < 4 ? 0 : segments[index % 6]->base;
  general.rflags = save.rflags;
  if (!completion_.BeginStringIo(access, View(), general, &exit.io)) {
    exit.reason = ExitReason::kInternalError;
    exit.internal_error = {.suberror = 0, .data_count = 0, .data = nullptr};
    return exit;
  }
  frame_.work.before |= EntryWork::kComplete;
  return exit;
}

Exit SvmVcpu::DecodeNestedPageFault() {
  const std::uint64_t gpa = frame_.vmcb.control.exit_info2;
  const std::uint64_t info = frame_.vmcb.control.exit_info1;
  ++counters_[static_cast<std::size_t>(Counter::kPageFaultsTaken)];
  // A misconfigured page is nobody's.
  const bool is_memory =
      parts_.memory.Contains(gpa) && !SvmPageFaultInfo::kReserved.IsSet(info);
  // One that hit the delivery of an event, a walk of the guest's page tables or
  // a fetch is no access of the instruction.
  const bool by_instruction =
      !SvmInterruption::kValid.IsSet(frame_.vmcb.control.exit_int_info) &&
      !SvmNestedPageFaultInfo::kPageTables.IsSet(info) &&
      !SvmPageFaultInfo::kFetch.IsSet(info);
  Exit exit;
  exit.raw = code();
  MemoryInstruction instruction;
  std::uint8_t bytes[kMaxInstructionBytes];
  if (!is_memory && by_instruction &&
      DecodeMemoryInstruction(bytes, ReadInstruction(bytes), code_size(),
                              &instruction)) {
    ++counters_[static_cast<std::size_t>(Counter::kMmioExits)];
    ++counters_[static_cast<std::size_t>(Counter::kInstructionsEmulated)];
    GeneralRegisters& general = frame_.registers.general;
    general.rsp = frame_.vmcb.save.rsp;
    general.rflags = frame_.vmcb.save.rflags;
    exit.reason = ExitReason::kMmio;
    exit.mmio = completion_.BeginMmio(instruction, gpa, general);
    frame_.work.before |= EntryWork::kComplete;
    return exit;
  }
  exit.reason = ExitReason::kPageFault;
  exit.page_fault = {.gpa = gpa, .access = info};
  // An alias is there, or as somebody asked for it.
  exit.for_backend = is_memory && gpa < parts_.memory.view().size;
  return exit;
}

// ---- The instruction at RIP -------------------------------------------------

CodeSize SvmVcpu::code_size() const {
  const std::uint16_t attributes = frame_.vmcb.save.cs.attributes;
  if ((frame_.vmcb.save.efer & kEferLma) != 0 &&
      (attributes & kSvmSegmentLong) != 0) {
    return CodeSize::k64;
  }
  return (attributes & kSvmSegmentDefault) != 0 ? CodeSize::k32 : CodeSize::k16;
}

GuestView SvmVcpu::View() const {
  const VmcbSave& save = frame_.vmcb.save;
  return GuestView(
      parts_.memory.view(),
      {.cr0 = save.cr0, .cr3 = save.cr3, .cr4 = save.cr4, .efer = save.efer});
}

std::size_t SvmVcpu::ReadInstruction(std::uint8_t* bytes) const {
  const VmcbControl& control = frame_.vmcb.control;
  // With decode assists, of nested page faults (15.8.4).
  const std::size_t fetched = control.instruction_byte_count & 0xF;
  if (parts_.features.decode_assists() && fetched != 0 &&
      code() == Code(SvmExitCode::kNpf)) {
    __builtin_memcpy(bytes, control.instruction_bytes, fetched);
    return fetched;
  }
  const std::uint64_t base =
      code_size() == CodeSize::k64 ? 0 : frame_.vmcb.save.cs.base;
  return View().Read(base + frame_.vmcb.save.rip, bytes, kMaxInstructionBytes);
}

DecodedInstruction SvmVcpu::DecodeHere() const {
  std::uint8_t bytes[kMaxInstructionBytes];
  return DecodeIntercepted(bytes, ReadInstruction(bytes), code_size());
}

}  // namespace worldswitch::svm
