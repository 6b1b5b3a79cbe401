// What a #VMEXIT tells beside its code: EXITINFO1 and EXITINFO2, format by
// format (APM vol. 2, 15.9 to 15.13, 15.25, 15.29, 15.33), and EXITINTINFO.
//
//   if (SvmIoioInfo::kIn.IsSet(exitinfo1)) ...
//   SvmIoioInfo::kPort.Of(exitinfo1)
//
// Freestanding: constant data.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_SVM_EXIT_INFO_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_SVM_EXIT_INFO_H_

#include <array>

#include "core/bit_field.h"
#include "core/x86_names.h"

namespace worldswitch {

// EXITINTINFO (VMCB 0x88) and EVENTINJ (VMCB 0xA8).
struct SvmInterruption {
  static constexpr const char* kTypes[] = {"INTR", nullptr, "NMI", "exception",
                                           "software interrupt"};
  static constexpr BitField kVector = NumberField("vector", 0, 8);
  static constexpr BitField kType = ChoiceField("type", 8, 3, kTypes);
  static constexpr BitField kErrorCodeValid = FlagField("error code valid", 11);
  static constexpr BitField kValid = FlagField("valid", 31);
  static constexpr BitField kErrorCode =
      HexField("error code", 32, 32).When(kErrorCodeValid, 2);
  static constexpr std::array kAll = {kVector, kType, kErrorCodeValid, kValid,
                                      kErrorCode};
};

// EXITINFO1 of control-register accesses, with decode assists.
struct SvmCrInfo {
  static constexpr BitField kRegister =
      ChoiceField("general-purpose register", 0, 4, kGeneralRegisterNames);
  // Clear: CLTS, LMSW or SMSW, and then the register means nothing.
  static constexpr BitField kMov = FlagField("MOV CRx", 63);
  static constexpr std::array kAll = {kRegister.When(kMov, 2), kMov};
};

// EXITINFO1 of debug-register accesses, with decode assists.
struct SvmDrInfo {
  static constexpr BitField kRegister =
      ChoiceField("general-purpose register", 0, 4, kGeneralRegisterNames);
  static constexpr std::array kAll = {kRegister};
};

// EXITINFO1 of exceptions that push an error code.
struct SvmErrorCodeInfo {
  static constexpr BitField kErrorCode = HexField("error code", 0, 32);
  static constexpr std::array kAll = {kErrorCode};
};

// EXITINFO1 of #PF.
struct SvmPageFaultInfo {
  static constexpr BitField kPresent = FlagField("present (P)", 0);
  static constexpr BitField kWrite = FlagField("write (RW)", 1);
  static constexpr BitField kUser = FlagField("user (US)", 2);
  static constexpr BitField kReserved = FlagField("reserved bit set (RSV)", 3);
  static constexpr BitField kFetch = FlagField("instruction fetch (ID)", 4);
  static constexpr BitField kProtectionKey =
      FlagField("protection key (PK)", 5);
  static constexpr BitField kShadowStack = FlagField("shadow stack (SS)", 6);
  static constexpr BitField kRmp = FlagField("RMP check (RMP)", 31);
  static constexpr std::array kAll = {kPresent,     kWrite, kUser,
                                      kReserved,    kFetch, kProtectionKey,
                                      kShadowStack, kRmp};
};

// EXITINFO2 of #PF; EXITINFO1 of INVLPG, INVLPGA (with decode assists) and
// INVPCID.
struct SvmLinearAddressInfo {
  static constexpr BitField kAddress = HexField("linear address", 0, 64);
  static constexpr std::array kAll = {kAddress};
};

// EXITINFO1 of SMI.
struct SvmSmiInfo {
  static constexpr const char* kSources[] = {"internal", "external"};
  static constexpr const char* kDirections[] = {"OUT", "IN"};
  static constexpr BitField kSource = ChoiceField("source", 0, 1, kSources);
  static constexpr BitField kMachineCheck =
      FlagField("machine check redirected", 1);
  // The fields that follow mean something only where this is set.
  static constexpr BitField kIoValid =
      FlagField("during an I/O instruction", 33);
  static constexpr BitField kIn =
      ChoiceField("direction", 32, 1, kDirections).When(kIoValid, 2);
  static constexpr std::array kAll = {
      kSource,
      kMachineCheck,
      kIn,
      kIoValid,
      FlagField("string instruction", 34).When(kIoValid, 2),
      FlagField("REP prefixed", 35).When(kIoValid, 2),
      FlagField("1 byte", 36).When(kIoValid, 2),
      FlagField("2 bytes", 37).When(kIoValid, 2),
      FlagField("4 bytes", 38).When(kIoValid, 2),
      FlagField("TF", 46).When(kIoValid, 2),
      FlagField("I/O breakpoint", 47).When(kIoValid, 2),
      HexField("port", 48, 16).When(kIoValid, 2)};
};

// EXITINFO1 of INTn, with decode assists.
struct SvmSoftwareInterruptInfo {
  static constexpr BitField kVector = HexField("vector", 0, 8);
  static constexpr std::array kAll = {kVector};
};

// EXITINFO1 of IOIO.
struct SvmIoioInfo {
  static constexpr const char* kDirections[] = {"OUT", "IN"};
  static constexpr const char* kSegments[] = {"ES", "CS", "SS",
                                              "DS", "FS", "GS"};
  static constexpr BitField kIn = ChoiceField("direction", 0, 1, kDirections);
  static constexpr BitField kString = FlagField("string instruction", 2);
  static constexpr BitField kRep = FlagField("REP prefixed", 3);
  static constexpr BitField kSize8 = FlagField("1 byte", 4);
  static constexpr BitField kSize16 = FlagField("2 bytes", 5);
  static constexpr BitField kSize32 = FlagField("4 bytes", 6);
  static constexpr BitField kAddress16 = FlagField("16-bit address", 7);
  static constexpr BitField kAddress32 = FlagField("32-bit address", 8);
  static constexpr BitField kAddress64 = FlagField("64-bit address", 9);
  // With decode assists.
  static constexpr BitField kSegment =
      ChoiceField("segment", 10, 3, kSegments).When(kString, 2);
  static constexpr BitField kPort = HexField("port", 16, 16);
  static constexpr std::array kAll = {
      kIn,        kString,    kRep,       kSize8,   kSize16, kSize32,
      kAddress16, kAddress32, kAddress64, kSegment, kPort};
};

// EXITINFO2 of IOIO.
struct SvmNextRipInfo {
  static constexpr BitField kNextRip = HexField("next rIP", 0, 64);
  static constexpr std::array kAll = {kNextRip};
};

// EXITINFO1 of MSR.
struct SvmMsrInfo {
  static constexpr const char* kInstructions[] = {"RDMSR", "WRMSR"};
  static constexpr BitField kWrite =
      ChoiceField("instruction", 0, 1, kInstructions);
  static constexpr std::array kAll = {kWrite};
};

// EXITINFO1 and EXITINFO2 of a task switch.
struct SvmTaskSwitchInfo1 {
  static constexpr BitField kSelector = HexField("TSS selector", 0, 16);
  static constexpr std::array kAll = {kSelector};
};
struct SvmTaskSwitchInfo2 {
  static constexpr BitField kIret = FlagField("by IRET", 36);
  static constexpr BitField kFarJump = FlagField("by a far jump", 38);
  static constexpr BitField kHasErrorCode = FlagField("error code pushed", 44);
  static constexpr BitField kErrorCode =
      HexField("error code", 0, 32).When(kHasErrorCode, 2);
  static constexpr BitField kResumeFlag = FlagField("RFLAGS.RF", 48);
  static constexpr std::array kAll = {kErrorCode, kIret, kFarJump,
                                      kHasErrorCode, kResumeFlag};
};

// EXITINFO1 of the write traps.
struct SvmWriteTrapInfo {
  static constexpr BitField kValue = HexField("new value", 0, 64);
  static constexpr std::array kAll = {kValue};
};

// EXITINFO2 of INVPCID.
struct SvmInvpcidInfo {
  static constexpr BitField kType = NumberField("INVPCID type", 0, 64);
  static constexpr std::array kAll = {kType};
};

// EXITINFO1 of a nested page fault. User is set in all of them: nested table
// walks count as user accesses.
struct SvmNestedPageFaultInfo {
  static constexpr BitField kFinal =
      FlagField("guest's final physical address", 32);
  static constexpr BitField kPageTables =
      FlagField("guest page-table walk", 33);
  static constexpr BitField kEncrypted = FlagField("guest C-bit (ENC)", 34);
  static constexpr BitField kSizeMismatch =
      FlagField("RMP size mismatch (SIZEM)", 35);
  static constexpr BitField kVmpl = FlagField("VMPL check (VMPL)", 36);
  static constexpr BitField kSupervisorShadowStack =
      FlagField("supervisor shadow stack (SSS)", 37);
  static constexpr std::array kAll = {SvmPageFaultInfo::kPresent,
                                      SvmPageFaultInfo::kWrite,
                                      SvmPageFaultInfo::kUser,
                                      SvmPageFaultInfo::kReserved,
                                      SvmPageFaultInfo::kFetch,
                                      SvmPageFaultInfo::kShadowStack,
                                      SvmPageFaultInfo::kRmp,
                                      kFinal,
                                      kPageTables,
                                      kEncrypted,
                                      kSizeMismatch,
                                      kVmpl,
                                      kSupervisorShadowStack};
};

// EXITINFO2 of a nested page fault.
struct SvmGuestPhysicalInfo {
  static constexpr BitField kAddress =
      HexField("guest-physical address", 0, 64);
  static constexpr std::array kAll = {kAddress};
};

// EXITINFO1 and EXITINFO2 of AVIC_INCOMPLETE_IPI.
struct SvmAvicIpiInfo1 {
  static constexpr BitField kIcrLow = HexField("ICR low", 0, 32);
  static constexpr BitField kIcrHigh = HexField("ICR high", 32, 32);
  static constexpr std::array kAll = {kIcrLow, kIcrHigh};
};
struct SvmAvicIpiInfo2 {
  static constexpr const char* kCauses[] = {
      "invalid interrupt type", "target not running", "invalid target in IPI",
      "invalid backing page pointer", "invalid IPI vector"};
  // Into the logical or physical APIC ID table. x2AVIC: 12 bits.
  static constexpr BitField kIndex = NumberField("table index", 0, 12);
  static constexpr BitField kCause = ChoiceField("cause", 32, 32, kCauses);
  static constexpr std::array kAll = {kIndex, kCause};
};

// EXITINFO1 and EXITINFO2 of AVIC_NOACCEL.
struct SvmAvicNoaccelInfo1 {
  static constexpr const char* kAccesses[] = {"read", "write"};
  static constexpr BitField kOffset = HexField("APIC offset", 0, 12);
  static constexpr BitField kWrite = ChoiceField("access", 32, 1, kAccesses);
  static constexpr std::array kAll = {kOffset, kWrite};
};
struct SvmAvicNoaccelInfo2 {
  // Of a write to EOI.
  static constexpr BitField kVector = NumberField("EOI vector", 0, 32);
  static constexpr std::array kAll = {kVector};
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_SVM_EXIT_INFO_H_
