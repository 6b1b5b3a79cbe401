// What a processor with SVM can do: CPUID 8000_000A (APM vol. 3, appendix E)
// and the MSR VM_CR (APM vol. 2, 15.30.1).
//
//   SvmFeatureEdx::kNrips.IsSet(cpuid_8000000a.edx)
//
// Freestanding: constant data.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_SVM_CAPABILITY_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_SVM_CAPABILITY_H_

#include <array>
#include <cstdint>

#include "core/bit_field.h"

namespace worldswitch {

inline constexpr std::uint32_t kSvmCpuidLeaf = 0x8000000A;
// CPUID 8000_0001, ECX: the processor has SVM.
inline constexpr BitField kCpuidSvm = FlagField("SVM", 2);

inline constexpr std::uint32_t kVmCrMsr = 0xC0010114;

struct SvmRevisionEax {
  static constexpr BitField kRevision = NumberField("SvmRev: revision", 0, 8);
  static constexpr std::array kAll = {kRevision};
};

struct SvmAsidsEbx {
  static constexpr BitField kAsids =
      NumberField("NASID: address space identifiers", 0, 32);
  static constexpr std::array kAll = {kAsids};
};

struct SvmFeatureEcx {
  static constexpr BitField kX2avicExt =
      FlagField("x2AVIC_EXT: x2AVIC of up to 4096 vCPUs", 6);
  static constexpr std::array kAll = {kX2avicExt};
};

struct SvmFeatureEdx {
  static constexpr BitField kNestedPaging = FlagField("NP: nested paging", 0);
  static constexpr BitField kLbrVirt =
      FlagField("LbrVirt: LBR virtualization", 1);
  static constexpr BitField kSvmLock = FlagField("SVML: SVM lock", 2);
  static constexpr BitField kNrips = FlagField("NRIPS: NRIP save", 3);
  static constexpr BitField kTscRate =
      FlagField("TscRateMsr: MSR-based TSC rate control", 4);
  static constexpr BitField kVmcbClean =
      FlagField("VmcbClean: VMCB clean bits", 5);
  static constexpr BitField kFlushByAsid =
      FlagField("FlushByAsid: flush by ASID", 6);
  static constexpr BitField kDecodeAssists =
      FlagField("DecodeAssists: decode assists", 7);
  static constexpr BitField kPmcVirt =
      FlagField("PmcVirt: PMC virtualization", 8);
  static constexpr BitField kPauseFilter =
      FlagField("PauseFilter: PAUSE intercept filter", 10);
  static constexpr BitField kPauseFilterThreshold =
      FlagField("PauseFilterThreshold: PAUSE filter cycle threshold", 12);
  static constexpr BitField kAvic =
      FlagField("AVIC: advanced virtual interrupt controller", 13);
  static constexpr BitField kVmsaveVirt =
      FlagField("VMSAVEvirt: VMSAVE and VMLOAD virtualization", 15);
  static constexpr BitField kVgif = FlagField("VGIF: virtualized GIF", 16);
  static constexpr BitField kGmet =
      FlagField("GMET: guest mode execute trap", 17);
  static constexpr BitField kX2avic =
      FlagField("x2AVIC: AVIC in x2APIC mode", 18);
  static constexpr BitField kVnmi = FlagField("VNMI: NMI virtualization", 25);
  static constexpr BitField kBusLockThreshold =
      FlagField("BusLockThreshold: bus-lock threshold", 29);
  static constexpr BitField kIdleHlt =
      FlagField("IdleHltIntercept: idle HLT intercept", 30);
  static constexpr std::array kAll = {
      kNestedPaging,
      kLbrVirt,
      kSvmLock,
      kNrips,
      kTscRate,
      kVmcbClean,
      kFlushByAsid,
      kDecodeAssists,
      kPmcVirt,
      kPauseFilter,
      FlagField("EncryptedMcodePatch: encrypted microcode patch", 11),
      kPauseFilterThreshold,
      kAvic,
      kVmsaveVirt,
      kVgif,
      kGmet,
      kX2avic,
      FlagField("SSSCheck: supervisor shadow stack check", 19),
      FlagField("SpecCtrl: SPEC_CTRL virtualization", 20),
      FlagField("ROGPT: read-only guest page tables", 21),
      FlagField("HOST_MCE_OVERRIDE: host machine check override", 23),
      FlagField("TlbiCtl: INVLPGB and TLBSYNC in guests", 24),
      kVnmi,
      FlagField("IbsVirt: IBS virtualization", 26),
      FlagField("ExtLvtAvicAccessChg: extended LVT in AVIC", 27),
      FlagField("NestedVirtVmcbAddrChk: guest VMCB address check", 28),
      kBusLockThreshold,
      kIdleHlt,
      FlagField("EnhancedShutdownIntercept: enhanced shutdown intercept", 31)};
};

struct SvmVmCr {
  static constexpr BitField kLock = FlagField("LOCK: SVMDIS cannot change", 3);
  static constexpr BitField kDisabled = FlagField("SVMDIS: SVM disabled", 4);
  static constexpr std::array kAll = {
      FlagField("DPD: debug port disabled", 0),
      FlagField("R_INIT: INIT redirected", 1),
      FlagField("DIS_A20M: A20 masking disabled", 2), kLock, kDisabled};
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_SVM_CAPABILITY_H_
