// Exits of moves to and from control and debug registers, of CLTS and LMSW, and
// of RDTSC: what the caller is told, and what is done of them before the guest
// goes on (SDM 3C, "Instructions That Cause VM Exits Conditionally").

#include "backends/vmx_intel/native/vmx_vcpu.h"

namespace worldswitch {
namespace {

constexpr std::uint8_t kInvalidOpcode = 6;
constexpr std::uint8_t kGeneralProtection = 13;
constexpr unsigned kRspNumber = 4;
constexpr std::uint64_t kCr4DebugExtensions = 1u << 3;
constexpr std::uint64_t kCr3NoFlush = std::uint64_t{1} << 63;
constexpr std::uint64_t kHighestCr8 = 15;
constexpr std::uint64_t kLmswBits = 0xf;
constexpr std::uint64_t kLow32 = 0xffff'ffff;

}  // namespace

Exit VmxVcpu::DecodeControlRegister() {
  const std::uint64_t qualification = vmcs_.Read(VmcsField::kExitQualification);
  access_number_ =
      static_cast<std::uint8_t>(VmxCrQualification::kNumber.Of(qualification));
  access_gpr_ = static_cast<std::uint8_t>(
      VmxCrQualification::kRegister.Of(qualification));
  access_source_ = static_cast<std::uint16_t>(
      VmxCrQualification::kLmswSource.Of(qualification));
  switch (VmxCrQualification::kAccess.Of(qualification)) {
    case VmxCrQualification::kMovTo:
      access_ = Access::kMovToCr;
      break;
    case VmxCrQualification::kMovFrom:
      access_ = Access::kMovFromCr;
      break;
    case VmxCrQualification::kClts:
      access_ = Access::kClts;
      break;
    default:
      access_ = Access::kLmsw;
  }
  Attend(kCompletionDue);
  Exit exit;
  exit.reason = ExitReason::kControlRegister;
  exit.raw = static_cast<std::uint64_t>(VmxExitReason::kControlRegisterAccess);
  exit.register_access = {.number = access_number_,
                          .gpr = access_gpr_,
                          .is_write = access_ != Access::kMovFromCr};
  return exit;
}

Exit VmxVcpu::DecodeDebugRegister() {
  const std::uint64_t qualification = vmcs_.Read(VmcsField::kExitQualification);
  access_number_ =
      static_cast<std::uint8_t>(VmxDrQualification::kNumber.Of(qualification));
  access_gpr_ = static_cast<std::uint8_t>(
      VmxDrQualification::kRegister.Of(qualification));
  access_ = VmxDrQualification::kDirection.IsSet(qualification)
                ? Access::kMovFromDr
                : Access::kMovToDr;
  Attend(kCompletionDue);
  Exit exit;
  exit.reason = ExitReason::kDebugRegister;
  exit.raw = static_cast<std::uint64_t>(VmxExitReason::kMovDr);
  exit.register_access = {.number = access_number_,
                          .gpr = access_gpr_,
                          .is_write = access_ == Access::kMovToDr};
  return exit;
}

Exit VmxVcpu::DecodeTimeStamp(std::uint32_t reason) {
  access_ = Access::kTimeStamp;
  rdtscp_ = reason == static_cast<std::uint32_t>(VmxExitReason::kRdtscp);
  time_stamp_[0] = time_stamp_[1] = 0;
  Attend(kCompletionDue);
  Exit exit;
  exit.reason = ExitReason::kTimeStamp;
  exit.raw = reason;
  exit.time_stamp = {.result = time_stamp_, .is_rdtscp = rdtscp_};
  return exit;
}

bool VmxVcpu::In64BitMode() {
  constexpr std::uint64_t kLongSegment = 1u << 13;
  return (state_.ReadEfer() & x86::kEferLma) != 0 &&
         (vmcs_.Read(VmcsField::kGuestCsAccessRights) & kLongSegment) != 0;
}

std::uint64_t VmxVcpu::ReadGpr(unsigned number) {
  const std::uint64_t value = number == kRspNumber
                                  ? vmcs_.Read(VmcsField::kGuestRsp)
                                  : GeneralRegister(general(), number);
  return In64BitMode() ? value : value & kLow32;
}

void VmxVcpu::WriteGpr(unsigned number, std::uint64_t value) {
  if (!In64BitMode()) value &= kLow32;
  if (number == kRspNumber) {
    vmcs_.Write(VmcsField::kGuestRsp, value);
  } else {
    GeneralRegister(general(), number) = value;
  }
}

std::uint64_t VmxVcpu::ReadControlRegister(unsigned number) {
  switch (number) {
    case 0:
      return state_.ReadCr0();
    case 3:
      return vmcs_.Read(VmcsField::kGuestCr3);
    case 4:
      return state_.ReadCr4();
    default:
      return state_.cr8();
  }
}

// False: #GP(0).
bool VmxVcpu::MoveToControlRegister(unsigned number, std::uint64_t value) {
  if (number == 8) {
    if (value > kHighestCr8) return false;
    state_.set_cr8(value);
    return true;
  }
  const std::uint64_t to = number == 3 ? value & ~kCr3NoFlush : value;
  if (!state_.Move(number, to, shared_.memory.view())) return false;
  FlushLinear();
  return true;
}

void VmxVcpu::CompleteAccess() {
  const Access access = access_;
  access_ = Access::kNone;
  std::uint8_t fault = 0;
  switch (access) {
    case Access::kNone:
      return;
    case Access::kMovToCr:
      if (!MoveToControlRegister(access_number_, ReadGpr(access_gpr_))) {
        fault = kGeneralProtection;
      }
      break;
    case Access::kMovFromCr:
      WriteGpr(access_gpr_, ReadControlRegister(access_number_));
      break;
    case Access::kClts:
      MoveToControlRegister(0, state_.ReadCr0() & ~x86::kCr0Ts);
      break;
    case Access::kLmsw: {
      // It sets PE and does not clear it.
      const std::uint64_t cr0 = state_.ReadCr0();
      const std::uint64_t bits =
          (access_source_ & kLmswBits) | (cr0 & x86::kCr0Pe);
      if (!MoveToControlRegister(0, (cr0 & ~kLmswBits) | bits)) {
        fault = kGeneralProtection;
      }
      break;
    }
    case Access::kMovToDr:
    case Access::kMovFromDr: {
      unsigned number = access_number_;
      if (number == 4 || number == 5) {
        if ((state_.ReadCr4() & kCr4DebugExtensions) != 0) {
          fault = kInvalidOpcode;
          break;
        }
        number += 2;
      }
      if (access == Access::kMovFromDr) {
        WriteGpr(access_gpr_, debug_registers_.Read(vmcs_, number));
      } else if (!debug_registers_.Write(vmcs_, number, ReadGpr(access_gpr_))) {
        fault = kGeneralProtection;
      }
      // While one is armed no run is the plain one.
      if (debug_registers_.armed()) {
        Attend(kBreakpointsArmed);
      } else {
        AttendNoMore(kBreakpointsArmed);
      }
      break;
    }
    case Access::kTimeStamp:
      general().rax = time_stamp_[0] & kLow32;
      general().rdx = time_stamp_[0] >> 32;
      if (rdtscp_) general().rcx = time_stamp_[1] & kLow32;
      break;
  }
  if (fault != 0) {
    RaiseException(fault, fault == kGeneralProtection);
    return;
  }
  AdvanceRip(vmcs_.Read(VmcsField::kExitInstructionLength));
}

}  // namespace worldswitch
