// Exits of instructions that move registers of the processor: control and debug
// registers, the time stamp, MSRs (APM 2, 15.8, 15.9, 15.11). What nobody asked
// for is answered here, from the guest's own state.

#include "backends/native/processor.h"
#include "backends/svm_amd/native/svm_vcpu.h"
#include "backends/svm_amd/svm_exit_info.h"

namespace worldswitch::svm {
namespace {

constexpr std::uint8_t kInvalidOpcode = 6;
constexpr std::uint8_t kGeneralProtection = 13;

}  // namespace

Exit SvmVcpu::DecodeRegisterAccess(ExitReason reason, std::uint64_t number) {
  // n: a read of register n; 16 + n: a write.
  const bool is_write = (number & 0x10) != 0;
  const DecodedInstruction here = DecodeHere();
  if (!here.is_mov_cr_dr()) {
    // CLTS, LMSW, SMSW: the caller has no register to look at.
    return Unknown();
  }
  if (reason == ExitReason::kDebugRegister && !parts_.asked_mov_dr) {
    return DecodeDebugRegister(static_cast<unsigned>(number & 0xF), here.gpr,
                               is_write);
  }
  Exit exit = Instruction(reason, 3);
  exit.register_access = {.number = static_cast<std::uint8_t>(number & 0xF),
                          .gpr = here.gpr,
                          .is_write = is_write};
  return exit;
}

// The guest's own debug registers, by way of the backend.
Exit SvmVcpu::DecodeDebugRegister(unsigned number, std::uint8_t gpr,
                                  bool is_write) {
  constexpr std::uint64_t kCr4De = 1u << 3;
  VmcbSave& save = frame_.vmcb.save;
  GeneralRegisters& general = frame_.registers.general;
  Exit exit = MakeExit(ExitReason::kDebugRegister, code());
  exit.register_access = {.number = static_cast<std::uint8_t>(number),
                          .gpr = gpr,
                          .is_write = is_write};
  if (number > 7 ||
      ((number == 4 || number == 5) && (save.cr4 & kCr4De) != 0)) {
    RaiseException(kInvalidOpcode);
    return ForBackend(exit);
  }
  if (number == 4 || number == 5) number += 2;  // as long as CR4.DE is clear
  const unsigned bytes = code_size() == CodeSize::k64 ? 8 : 4;
  general.rsp = save.rsp;
  std::uint64_t& operand = GeneralRegister(general, gpr);
  if (is_write) {
    std::uint64_t value = 0;
    SetRegister(value, operand, bytes);
    if (!debug_registers_.Write(save, number, value)) {
      RaiseException(kGeneralProtection, true, 0);
      return ForBackend(exit);
    }
    frame_.work.Touch(frame_.vmcb, SvmClean::kDebugRegisters);
    // From here on the long way, where DR0 to DR3 are exchanged.
    if (debug_registers_.armed()) {
      frame_.work.before |= EntryWork::kBreakpoints;
    } else {
      frame_.work.before &= ~EntryWork::kBreakpoints;
    }
  } else {
    SetRegister(operand, debug_registers_.Read(save, number), bytes);
    save.rsp = general.rsp;
  }
  Instruction(ExitReason::kDebugRegister, 3);
  return ForBackend(exit);
}

Exit SvmVcpu::DecodeTimeStamp() {
  const bool is_rdtscp =
      code() == static_cast<std::uint64_t>(SvmExitCode::kRdtscp) ||
      DecodeHere().is_rdtscp();
  Exit exit = Instruction(ExitReason::kTimeStamp, is_rdtscp ? 3 : 2);
  time_stamp_[0] = time_stamp_[1] = 0;
  time_stamp_has_aux_ = is_rdtscp;
  exit.time_stamp = {.result = time_stamp_, .is_rdtscp = is_rdtscp};
  frame_.work.before |= EntryWork::kTimeStamp;
  return exit;
}

Exit SvmVcpu::DecodeMsr() {
  const bool is_write =
      SvmMsrInfo::kWrite.IsSet(frame_.vmcb.control.exit_info1);
  GeneralRegisters& general = frame_.registers.general;
  const auto msr = static_cast<std::uint32_t>(general.rcx);
  Exit exit;
  exit.reason = is_write ? ExitReason::kWrmsr : ExitReason::kRdmsr;
  exit.raw = code();
  std::uint8_t length = 2;
  if (frame_.has_nrip) {
    length = static_cast<std::uint8_t>(frame_.vmcb.control.next_rip -
                                       frame_.vmcb.save.rip);
  } else if (const DecodedInstruction here = DecodeHere(); here.length != 0) {
    length = here.length;
  }
  exit.msr = completion_.BeginMsr(is_write, length, general);
  frame_.work.before |= EntryWork::kComplete;
  // Whether the backend could answer: by trying a read.
  const bool switched = IsSwitchedByVmload(msr) && !switches_all_;
  if (switched) parts_.cpu.Save(*this);
  std::uint64_t value = 0;
  const bool known = AnswerMsr(msr, /*write=*/false, &value, frame_.vmcb,
                               &apic_base_) != MsrAnswer::kUnknown;
  MsrExitCauses cause = kNoMsrExits;
  if (parts_.msrs.GoesToCaller(msr, is_write, known, &cause)) {
    exit.msr.engine_reason = cause;
    return exit;
  }
  if (is_write) value = *exit.msr.data;
  const MsrAnswer answer =
      cause != kNoMsrExits
          ? MsrAnswer::kInvalid
          : AnswerMsr(msr, is_write, &value, frame_.vmcb, &apic_base_);
  *exit.msr.inject_gp = answer == MsrAnswer::kDone ? 0 : 1;
  if (!is_write) *exit.msr.data = value;
  if (is_write && answer == MsrAnswer::kDone) {
    frame_.work.Touch(frame_.vmcb, SvmClean::kAll);
    if (msr == ring0::kMsrEfer) frame_.work.before |= EntryWork::kFlush;
    if (switched) frame_.work.before |= EntryWork::kLoad;
  }
  return ForBackend(exit);
}

}  // namespace worldswitch::svm
