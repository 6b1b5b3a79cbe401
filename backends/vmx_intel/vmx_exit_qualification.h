// What a VM exit tells beside its reason: the exit qualification, format by
// format (SDM vol. 3C, "Basic VM-Exit Information"), the interruption fields,
// and the 32 bits of the exit-reason field itself.
//
//   if (VmxIoQualification::kIn.IsSet(qualification)) ...
//   VmxIoQualification::kPort.Of(qualification)
//
// Freestanding: constant data.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_EXIT_QUALIFICATION_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_EXIT_QUALIFICATION_H_

#include <array>

#include "core/bit_field.h"
#include "core/x86_names.h"

namespace worldswitch {

// The exit-reason field (0x4402), "Format of Exit Reason".
struct VmxExitReasonField {
  static constexpr BitField kBasic = NumberField("basic exit reason", 0, 16);
  static constexpr BitField kBusyShadowStack =
      FlagField("shadow stack prematurely busy", 25);
  static constexpr BitField kBusLock = FlagField("bus lock asserted", 26);
  static constexpr BitField kEnclave = FlagField("from enclave mode", 27);
  static constexpr BitField kPendingMtf = FlagField("pending MTF VM exit", 28);
  static constexpr BitField kFromRoot =
      FlagField("from VMX root operation", 29);
  static constexpr BitField kEntryFailure = FlagField("VM-entry failure", 31);
  static constexpr std::array kAll = {kBasic,       kBusyShadowStack, kBusLock,
                                      kEnclave,     kPendingMtf,      kFromRoot,
                                      kEntryFailure};
};

// VM-exit interruption information (0x4404), IDT-vectoring information
// (0x4408) and VM-entry interruption information (0x4016).
struct VmxInterruption {
  static constexpr const char* kTypes[] = {
      "external interrupt",     "reserved",
      "non-maskable interrupt", "hardware exception",
      "software interrupt",     "privileged software exception",
      "software exception",     "other event"};
  static constexpr std::uint32_t kHardwareException = 3;

  static constexpr BitField kVector = NumberField("vector", 0, 8);
  static constexpr BitField kType = ChoiceField("type", 8, 3, kTypes);
  static constexpr BitField kErrorCodeValid = FlagField("error code valid", 11);
  static constexpr BitField kNmiUnblocking =
      FlagField("NMI unblocking due to IRET", 12);
  static constexpr BitField kNestedException =
      FlagField("nested exception", 13);
  static constexpr BitField kValid = FlagField("valid", 31);
  static constexpr std::array kAll = {kVector,          kType,
                                      kErrorCodeValid,  kNmiUnblocking,
                                      kNestedException, kValid};
};

// Exit 0, where the exception is #DB.
struct VmxDebugQualification {
  static constexpr std::array kAll = {
      FlagField("B0", 0),  FlagField("B1", 1),   FlagField("B2", 2),
      FlagField("B3", 3),  FlagField("BLD", 11), FlagField("BD", 13),
      FlagField("BS", 14), FlagField("RTM", 16)};
};

// Exit 0, where the exception is #NM: what XFD caught.
struct VmxXfdQualification {
  static constexpr BitField kComponents =
      HexField("IA32_XFD_ERR state components", 0, 64);
  static constexpr std::array kAll = {kComponents};
};

// #PF of exit 0, INVLPG.
struct VmxLinearAddressQualification {
  static constexpr BitField kAddress = HexField("linear address", 0, 64);
  static constexpr std::array kAll = {kAddress};
};

// Exit 4.
struct VmxSipiQualification {
  static constexpr BitField kVector = HexField("SIPI vector", 0, 8);
  static constexpr std::array kAll = {kVector};
};

// Exit 9.
struct VmxTaskSwitchQualification {
  static constexpr const char* kSources[] = {"CALL", "IRET", "JMP",
                                             "task gate in IDT"};
  static constexpr BitField kSelector = HexField("TSS selector", 0, 16);
  static constexpr BitField kSource = ChoiceField("source", 30, 2, kSources);
  static constexpr std::array kAll = {kSelector, kSource};
};

// Instructions with a memory operand whose address the instruction-information
// field completes: VMCLEAR to VMXON, INVEPT, INVVPID, INVPCID, LGDT and its
// kin, LLDT and its kin, XSAVES, XRSTORS.
struct VmxDisplacementQualification {
  static constexpr BitField kDisplacement =
      HexField("displacement of the memory operand", 0, 64);
  static constexpr std::array kAll = {kDisplacement};
};

// Exit 28.
struct VmxCrQualification {
  enum AccessType : std::uint8_t { kMovTo, kMovFrom, kClts, kLmsw };
  static constexpr const char* kAccessTypes[] = {"MOV to CR", "MOV from CR",
                                                 "CLTS", "LMSW"};
  static constexpr const char* kOperandTypes[] = {"register", "memory"};

  static constexpr BitField kNumber = NumberField("CR", 0, 4);
  static constexpr BitField kAccess = ChoiceField("access", 4, 2, kAccessTypes);
  static constexpr BitField kLmswOperand =
      ChoiceField("LMSW operand", 6, 1, kOperandTypes)
          .When(kAccess, 1u << kLmsw);
  static constexpr BitField kRegister =
      ChoiceField("general-purpose register", 8, 4, kGeneralRegisterNames)
          .When(kAccess, 1u << kMovTo | 1u << kMovFrom);
  static constexpr BitField kLmswSource =
      HexField("LMSW source data", 16, 16).When(kAccess, 1u << kLmsw);
  static constexpr std::array kAll = {kNumber, kAccess, kLmswOperand, kRegister,
                                      kLmswSource};
};

// Exit 29.
struct VmxDrQualification {
  static constexpr const char* kDirections[] = {"MOV to DR", "MOV from DR"};
  static constexpr BitField kNumber = NumberField("DR", 0, 3);
  static constexpr BitField kDirection =
      ChoiceField("direction", 4, 1, kDirections);
  static constexpr BitField kRegister =
      ChoiceField("general-purpose register", 8, 4, kGeneralRegisterNames);
  static constexpr std::array kAll = {kNumber, kDirection, kRegister};
};

// Exit 30.
struct VmxIoQualification {
  static constexpr const char* kSizes[] = {"1 byte", "2 bytes", nullptr,
                                           "4 bytes"};
  static constexpr const char* kDirections[] = {"OUT", "IN"};
  static constexpr const char* kOperands[] = {"DX", "immediate"};

  // Holds the number of bytes minus 1.
  static constexpr BitField kSize = ChoiceField("size", 0, 3, kSizes);
  static constexpr BitField kIn = ChoiceField("direction", 3, 1, kDirections);
  static constexpr BitField kString = FlagField("string instruction", 4);
  static constexpr BitField kRep = FlagField("REP prefixed", 5);
  static constexpr BitField kOperand =
      ChoiceField("operand encoding", 6, 1, kOperands);
  static constexpr BitField kPort = HexField("port", 16, 16);
  static constexpr std::array kAll = {kSize, kIn,      kString,
                                      kRep,  kOperand, kPort};
};

// Exit 33.
struct VmxInvalidGuestStateQualification {
  static constexpr const char* kCauses[] = {
      "not told", nullptr, "loading the PDPTEs",
      "injecting an NMI while events are blocked by STI",
      "the VMCS link pointer"};
  static constexpr BitField kCause = ChoiceField("cause", 0, 64, kCauses);
  static constexpr std::array kAll = {kCause};
};

// Exit 34.
struct VmxMsrLoadQualification {
  // 1 is the first.
  static constexpr BitField kEntry =
      NumberField("entry of the VM-entry MSR-load area", 0, 64);
  static constexpr std::array kAll = {kEntry};
};

// Exit 36.
struct VmxMwaitQualification {
  static constexpr BitField kArmed =
      FlagField("address-range monitoring armed", 0);
  static constexpr std::array kAll = {kArmed};
};

// Exit 44.
struct VmxApicAccessQualification {
  static constexpr const char* kTypes[] = {
      "linear, data read",
      "linear, data write",
      "linear, instruction fetch",
      "linear, during event delivery",
      nullptr,
      nullptr,
      nullptr,
      nullptr,
      nullptr,
      nullptr,
      "guest-physical, during event delivery",
      nullptr,
      nullptr,
      nullptr,
      nullptr,
      "guest-physical, instruction fetch or execution"};
  static constexpr BitField kType = ChoiceField("access", 12, 4, kTypes);
  // In the APIC page; of linear accesses only.
  static constexpr BitField kOffset =
      HexField("offset", 0, 12).When(kType, 0xF);
  static constexpr BitField kAsynchronous =
      FlagField("asynchronous to instruction execution", 16);
  static constexpr std::array kAll = {kOffset, kType, kAsynchronous};
};

// Exit 45.
struct VmxVirtualizedEoiQualification {
  static constexpr BitField kVector = NumberField("vector", 0, 8);
  static constexpr std::array kAll = {kVector};
};

// Exit 48.
struct VmxEptViolationQualification {
  static constexpr BitField kRead = FlagField("data read", 0);
  static constexpr BitField kWrite = FlagField("data write", 1);
  static constexpr BitField kFetch = FlagField("instruction fetch", 2);
  static constexpr BitField kReadable = FlagField("page readable", 3);
  static constexpr BitField kWritable = FlagField("page writable", 4);
  static constexpr BitField kExecutable = FlagField("page executable", 5);
  static constexpr BitField kUserExecutable =
      FlagField("page executable in user mode", 6);
  static constexpr BitField kLinearValid =
      FlagField("guest linear address valid", 7);
  // Clear: in an access to a paging-structure entry.
  static constexpr BitField kFinal =
      FlagField("translation of the linear address", 8).When(kLinearValid, 2);
  static constexpr BitField kUserLinear =
      FlagField("user-mode linear address", 9).When(kLinearValid, 2);
  static constexpr BitField kLinearWritable =
      FlagField("linear address writable", 10).When(kLinearValid, 2);
  static constexpr BitField kLinearNoExecute =
      FlagField("linear address execute-disable", 11).When(kLinearValid, 2);
  static constexpr BitField kNmiUnblocking =
      FlagField("NMI unblocking due to IRET", 12);
  static constexpr BitField kShadowStack = FlagField("shadow-stack access", 13);
  static constexpr BitField kSupervisorShadowStack =
      FlagField("supervisor shadow-stack page", 14);
  static constexpr BitField kGuestPagingVerification =
      FlagField("guest-paging verification", 15);
  static constexpr BitField kAsynchronous =
      FlagField("asynchronous to instruction execution", 16);
  static constexpr std::array kAll = {kRead,
                                      kWrite,
                                      kFetch,
                                      kReadable,
                                      kWritable,
                                      kExecutable,
                                      kUserExecutable,
                                      kLinearValid,
                                      kFinal,
                                      kUserLinear,
                                      kLinearWritable,
                                      kLinearNoExecute,
                                      kNmiUnblocking,
                                      kShadowStack,
                                      kSupervisorShadowStack,
                                      kGuestPagingVerification,
                                      kAsynchronous};
};

// Exit 56: what was written is in the virtual-APIC page.
struct VmxApicWriteQualification {
  static constexpr BitField kOffset = HexField("offset", 0, 12);
  static constexpr std::array kAll = {kOffset};
};

// Exit 62.
struct VmxPmlFullQualification {
  static constexpr std::array kAll = {
      FlagField("NMI unblocking due to IRET", 12),
      FlagField("asynchronous to instruction execution", 16)};
};

// Exit 66.
struct VmxSppQualification {
  static constexpr const char* kTypes[] = {"SPP misconfiguration", "SPP miss"};
  static constexpr BitField kType = ChoiceField("event", 11, 1, kTypes);
  static constexpr BitField kNmiUnblocking =
      FlagField("NMI unblocking due to IRET", 12);
  static constexpr std::array kAll = {kType, kNmiUnblocking};
};

// Exit 75.
struct VmxInstructionTimeoutQualification {
  static constexpr BitField kContextInvalid =
      FlagField("VM context invalid", 0);
  static constexpr BitField kNmiUnblocking =
      FlagField("NMI unblocking due to IRET", 12);
  static constexpr std::array kAll = {kContextInvalid, kNmiUnblocking};
};

// The instructions that name an MSR otherwise than by ECX.
struct VmxMsrIndexQualification {
  static constexpr BitField kIndex = HexField("MSR", 0, 64);
  static constexpr std::array kAll = {kIndex};
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_EXIT_QUALIFICATION_H_
