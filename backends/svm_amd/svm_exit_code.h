// SVM exit codes by number and by name (APM vol. 2, appendix C), with the
// formats of EXITINFO1 and EXITINFO2 that go with each; and the codes that a
// guest of SEV-ES puts there itself (GHCB specification).
//
//   const SvmExitInfo* info = FindSvmExit(NormalSvmExitCode(vmcb.exitcode));
//
// Freestanding: constant data and pure functions, no allocation.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_SVM_EXIT_CODE_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_SVM_EXIT_CODE_H_

#include <cstdint>
#include <span>

#include "backends/svm_amd/svm_exit_info.h"
#include "core/bit_field.h"

namespace worldswitch {

// Those that a hypervisor names in its code. VMEXIT_CR0_READ + n is CRn's read,
// and so on for the ranges of 16 and of 32.
enum class SvmExitCode : std::uint64_t {
  kCr0Read = 0x00,
  kCr0Write = 0x10,
  kDr0Read = 0x20,
  kDr0Write = 0x30,
  kException0 = 0x40,
  kIntr = 0x60,
  kNmi = 0x61,
  kSmi = 0x62,
  kInit = 0x63,
  kVintr = 0x64,
  kCr0SelWrite = 0x65,
  kIdtrRead = 0x66,
  kGdtrRead = 0x67,
  kLdtrRead = 0x68,
  kTrRead = 0x69,
  kIdtrWrite = 0x6A,
  kGdtrWrite = 0x6B,
  kLdtrWrite = 0x6C,
  kTrWrite = 0x6D,
  kRdtsc = 0x6E,
  kRdpmc = 0x6F,
  kPushf = 0x70,
  kPopf = 0x71,
  kCpuid = 0x72,
  kRsm = 0x73,
  kIret = 0x74,
  kSwint = 0x75,
  kInvd = 0x76,
  kPause = 0x77,
  kHlt = 0x78,
  kInvlpg = 0x79,
  kInvlpga = 0x7A,
  kIoio = 0x7B,
  kMsr = 0x7C,
  kTaskSwitch = 0x7D,
  kFerrFreeze = 0x7E,
  kShutdown = 0x7F,
  kVmrun = 0x80,
  kVmmcall = 0x81,
  kVmload = 0x82,
  kVmsave = 0x83,
  kStgi = 0x84,
  kClgi = 0x85,
  kSkinit = 0x86,
  kRdtscp = 0x87,
  kIcebp = 0x88,
  kWbinvd = 0x89,
  kMonitor = 0x8A,
  kMwait = 0x8B,
  kMwaitConditional = 0x8C,
  kXsetbv = 0x8D,
  kRdpru = 0x8E,
  kEferWriteTrap = 0x8F,
  kCr0WriteTrap = 0x90,
  kInvlpgb = 0xA0,
  kInvlpgbIllegal = 0xA1,
  kInvpcid = 0xA2,
  kMcommit = 0xA3,
  kTlbsync = 0xA4,
  kBusLock = 0xA5,
  kIdleHlt = 0xA6,
  kNpf = 0x400,
  kAvicIncompleteIpi = 0x401,
  kAvicNoaccel = 0x402,
  kVmgexit = 0x403,
  kPageNotValidated = 0x404,
  kSoftware = 0xF0000000,
  kInvalidPmc = static_cast<std::uint64_t>(-4),
  kIdleRequired = static_cast<std::uint64_t>(-3),
  kBusy = static_cast<std::uint64_t>(-2),
  kInvalid = static_cast<std::uint64_t>(-1),
};

struct SvmExitInfo {
  std::uint64_t code = 0;
  const char* name = nullptr;     // the manual's: "VMEXIT_IOIO"
  const char* meaning = nullptr;  // in a few words; "" where the name says it
  BitFields info1 = {};           // empty: EXITINFO1 means nothing
  BitFields info2 = {};
};

// All of them, by ascending code.
std::span<const SvmExitInfo> AllSvmExits();

// Null for a code that the manual does not give.
const SvmExitInfo* FindSvmExit(std::uint64_t code);

// The code as the manual has it. The field is 64 bits wide, and the negative
// ones use them all; some software (KVM for long, QEMU) keeps 32 of them.
constexpr std::uint64_t NormalSvmExitCode(std::uint64_t code) {
  return code >= 0xFFFFFFFC && code <= 0xFFFFFFFF ? code | ~0xFFFFFFFFull
                                                  : code;
}

// VMRUN refused to enter: one of the negative codes.
constexpr bool IsSvmEntryFailure(std::uint64_t code) {
  return NormalSvmExitCode(code) >=
         static_cast<std::uint64_t>(SvmExitCode::kInvalidPmc);
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_SVM_EXIT_CODE_H_
