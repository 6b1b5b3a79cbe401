// The fields of a VMCS by the manual's names and encodings (SDM 3D, appendix
// B), each once; and what an encoding says of its field.
//
//   vmcs.Read(VmcsField::kExitReason)
//   VmcsFieldName(VmcsField::kGuestRip)  // "guest RIP"
//
// Freestanding: constant data and pure functions.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMCS_FIELD_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMCS_FIELD_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch {

// clang-format off
// X(enumerator, encoding, name), by width and kind as the appendix has them.
#define WS_VMCS_FIELDS(X)                                                     \
  /* 16 bits, control */                                                      \
  X(kVpid, 0x0000, "virtual-processor identifier")                            \
  X(kPostedInterruptVector, 0x0002, "posted-interrupt notification vector")   \
  X(kEptpIndex, 0x0004, "EPTP index")                                         \
  /* 16 bits, guest state */                                                  \
  X(kGuestEsSelector, 0x0800, "guest ES selector")                            \
  X(kGuestCsSelector, 0x0802, "guest CS selector")                            \
  X(kGuestSsSelector, 0x0804, "guest SS selector")                            \
  X(kGuestDsSelector, 0x0806, "guest DS selector")                            \
  X(kGuestFsSelector, 0x0808, "guest FS selector")                            \
  X(kGuestGsSelector, 0x080A, "guest GS selector")                            \
  X(kGuestLdtrSelector, 0x080C, "guest LDTR selector")                        \
  X(kGuestTrSelector, 0x080E, "guest TR selector")                            \
  X(kGuestInterruptStatus, 0x0810, "guest interrupt status")                  \
  X(kPmlIndex, 0x0812, "PML index")                                           \
  /* 16 bits, host state */                                                   \
  X(kHostEsSelector, 0x0C00, "host ES selector")                              \
  X(kHostCsSelector, 0x0C02, "host CS selector")                              \
  X(kHostSsSelector, 0x0C04, "host SS selector")                              \
  X(kHostDsSelector, 0x0C06, "host DS selector")                              \
  X(kHostFsSelector, 0x0C08, "host FS selector")                              \
  X(kHostGsSelector, 0x0C0A, "host GS selector")                              \
  X(kHostTrSelector, 0x0C0C, "host TR selector")                              \
  /* 64 bits, control */                                                      \
  X(kIoBitmapA, 0x2000, "address of I/O bitmap A")                            \
  X(kIoBitmapB, 0x2002, "address of I/O bitmap B")                            \
  X(kMsrBitmap, 0x2004, "address of MSR bitmaps")                             \
  X(kExitMsrStore, 0x2006, "VM-exit MSR-store address")                       \
  X(kExitMsrLoad, 0x2008, "VM-exit MSR-load address")                         \
  X(kEntryMsrLoad, 0x200A, "VM-entry MSR-load address")                       \
  X(kExecutiveVmcs, 0x200C, "executive-VMCS pointer")                         \
  X(kPmlAddress, 0x200E, "PML address")                                       \
  X(kTscOffset, 0x2010, "TSC offset")                                         \
  X(kVirtualApic, 0x2012, "virtual-APIC address")                             \
  X(kApicAccess, 0x2014, "APIC-access address")                               \
  X(kPostedInterruptDescriptor, 0x2016, "posted-interrupt descriptor address")\
  X(kVmFunctionControls, 0x2018, "VM-function controls")                      \
  X(kEptp, 0x201A, "EPT pointer")                                             \
  X(kEoiExitBitmap0, 0x201C, "EOI-exit bitmap 0")                             \
  X(kEoiExitBitmap1, 0x201E, "EOI-exit bitmap 1")                             \
  X(kEoiExitBitmap2, 0x2020, "EOI-exit bitmap 2")                             \
  X(kEoiExitBitmap3, 0x2022, "EOI-exit bitmap 3")                             \
  X(kEptpList, 0x2024, "EPTP-list address")                                   \
  X(kVmreadBitmap, 0x2026, "VMREAD-bitmap address")                           \
  X(kVmwriteBitmap, 0x2028, "VMWRITE-bitmap address")                         \
  X(kXssExitingBitmap, 0x202C, "XSS-exiting bitmap")                          \
  X(kTscMultiplier, 0x2032, "TSC multiplier")                                 \
  /* 64 bits, exit information */                                             \
  X(kGuestPhysicalAddress, 0x2400, "guest-physical address")                  \
  /* 64 bits, guest state */                                                  \
  X(kLinkPointer, 0x2800, "VMCS link pointer")                                \
  X(kGuestDebugctl, 0x2802, "guest IA32_DEBUGCTL")                            \
  X(kGuestPat, 0x2804, "guest IA32_PAT")                                      \
  X(kGuestEfer, 0x2806, "guest IA32_EFER")                                    \
  X(kGuestPerfGlobalCtrl, 0x2808, "guest IA32_PERF_GLOBAL_CTRL")              \
  X(kGuestPdpte0, 0x280A, "guest PDPTE0")                                     \
  X(kGuestPdpte1, 0x280C, "guest PDPTE1")                                     \
  X(kGuestPdpte2, 0x280E, "guest PDPTE2")                                     \
  X(kGuestPdpte3, 0x2810, "guest PDPTE3")                                     \
  /* 64 bits, host state */                                                   \
  X(kHostPat, 0x2C00, "host IA32_PAT")                                        \
  X(kHostEfer, 0x2C02, "host IA32_EFER")                                      \
  X(kHostPerfGlobalCtrl, 0x2C04, "host IA32_PERF_GLOBAL_CTRL")                \
  /* 32 bits, control */                                                      \
  X(kPinBasedControls, 0x4000, "pin-based VM-execution controls")             \
  X(kPrimaryControls, 0x4002,                                                 \
    "primary processor-based VM-execution controls")                          \
  X(kExceptionBitmap, 0x4004, "exception bitmap")                             \
  X(kPageFaultErrorMask, 0x4006, "page-fault error-code mask")                \
  X(kPageFaultErrorMatch, 0x4008, "page-fault error-code match")              \
  X(kCr3TargetCount, 0x400A, "CR3-target count")                              \
  X(kExitControls, 0x400C, "primary VM-exit controls")                        \
  X(kExitMsrStoreCount, 0x400E, "VM-exit MSR-store count")                    \
  X(kExitMsrLoadCount, 0x4010, "VM-exit MSR-load count")                      \
  X(kEntryControls, 0x4012, "VM-entry controls")                              \
  X(kEntryMsrLoadCount, 0x4014, "VM-entry MSR-load count")                    \
  X(kEntryInterruption, 0x4016, "VM-entry interruption-information field")    \
  X(kEntryErrorCode, 0x4018, "VM-entry exception error code")                 \
  X(kEntryInstructionLength, 0x401A, "VM-entry instruction length")           \
  X(kTprThreshold, 0x401C, "TPR threshold")                                   \
  X(kSecondaryControls, 0x401E,                                               \
    "secondary processor-based VM-execution controls")                        \
  X(kPleGap, 0x4020, "PLE_Gap")                                               \
  X(kPleWindow, 0x4022, "PLE_Window")                                         \
  /* 32 bits, exit information */                                             \
  X(kInstructionError, 0x4400, "VM-instruction error")                        \
  X(kExitReason, 0x4402, "exit reason")                                       \
  X(kExitInterruption, 0x4404, "VM-exit interruption information")            \
  X(kExitErrorCode, 0x4406, "VM-exit interruption error code")                \
  X(kIdtVectoring, 0x4408, "IDT-vectoring information field")                 \
  X(kIdtVectoringErrorCode, 0x440A, "IDT-vectoring error code")               \
  X(kExitInstructionLength, 0x440C, "VM-exit instruction length")             \
  X(kExitInstructionInformation, 0x440E, "VM-exit instruction information")   \
  /* 32 bits, guest state */                                                  \
  X(kGuestEsLimit, 0x4800, "guest ES limit")                                  \
  X(kGuestCsLimit, 0x4802, "guest CS limit")                                  \
  X(kGuestSsLimit, 0x4804, "guest SS limit")                                  \
  X(kGuestDsLimit, 0x4806, "guest DS limit")                                  \
  X(kGuestFsLimit, 0x4808, "guest FS limit")                                  \
  X(kGuestGsLimit, 0x480A, "guest GS limit")                                  \
  X(kGuestLdtrLimit, 0x480C, "guest LDTR limit")                              \
  X(kGuestTrLimit, 0x480E, "guest TR limit")                                  \
  X(kGuestGdtrLimit, 0x4810, "guest GDTR limit")                              \
  X(kGuestIdtrLimit, 0x4812, "guest IDTR limit")                              \
  X(kGuestEsAccessRights, 0x4814, "guest ES access rights")                   \
  X(kGuestCsAccessRights, 0x4816, "guest CS access rights")                   \
  X(kGuestSsAccessRights, 0x4818, "guest SS access rights")                   \
  X(kGuestDsAccessRights, 0x481A, "guest DS access rights")                   \
  X(kGuestFsAccessRights, 0x481C, "guest FS access rights")                   \
  X(kGuestGsAccessRights, 0x481E, "guest GS access rights")                   \
  X(kGuestLdtrAccessRights, 0x4820, "guest LDTR access rights")               \
  X(kGuestTrAccessRights, 0x4822, "guest TR access rights")                   \
  X(kGuestInterruptibility, 0x4824, "guest interruptibility state")           \
  X(kGuestActivity, 0x4826, "guest activity state")                           \
  X(kGuestSmbase, 0x4828, "guest SMBASE")                                     \
  X(kGuestSysenterCs, 0x482A, "guest IA32_SYSENTER_CS")                       \
  X(kPreemptionTimer, 0x482E, "VMX-preemption timer value")                   \
  /* 32 bits, host state */                                                   \
  X(kHostSysenterCs, 0x4C00, "host IA32_SYSENTER_CS")                         \
  /* natural width, control */                                                \
  X(kCr0Mask, 0x6000, "CR0 guest/host mask")                                  \
  X(kCr4Mask, 0x6002, "CR4 guest/host mask")                                  \
  X(kCr0Shadow, 0x6004, "CR0 read shadow")                                    \
  X(kCr4Shadow, 0x6006, "CR4 read shadow")                                    \
  X(kCr3Target0, 0x6008, "CR3-target value 0")                                \
  X(kCr3Target1, 0x600A, "CR3-target value 1")                                \
  X(kCr3Target2, 0x600C, "CR3-target value 2")                                \
  X(kCr3Target3, 0x600E, "CR3-target value 3")                                \
  /* natural width, exit information */                                       \
  X(kExitQualification, 0x6400, "exit qualification")                         \
  X(kIoRcx, 0x6402, "I/O RCX")                                                \
  X(kIoRsi, 0x6404, "I/O RSI")                                                \
  X(kIoRdi, 0x6406, "I/O RDI")                                                \
  X(kIoRip, 0x6408, "I/O RIP")                                                \
  X(kGuestLinearAddress, 0x640A, "guest-linear address")                      \
  /* natural width, guest state */                                            \
  X(kGuestCr0, 0x6800, "guest CR0")                                           \
  X(kGuestCr3, 0x6802, "guest CR3")                                           \
  X(kGuestCr4, 0x6804, "guest CR4")                                           \
  X(kGuestEsBase, 0x6806, "guest ES base")                                    \
  X(kGuestCsBase, 0x6808, "guest CS base")                                    \
  X(kGuestSsBase, 0x680A, "guest SS base")                                    \
  X(kGuestDsBase, 0x680C, "guest DS base")                                    \
  X(kGuestFsBase, 0x680E, "guest FS base")                                    \
  X(kGuestGsBase, 0x6810, "guest GS base")                                    \
  X(kGuestLdtrBase, 0x6812, "guest LDTR base")                                \
  X(kGuestTrBase, 0x6814, "guest TR base")                                    \
  X(kGuestGdtrBase, 0x6816, "guest GDTR base")                                \
  X(kGuestIdtrBase, 0x6818, "guest IDTR base")                                \
  X(kGuestDr7, 0x681A, "guest DR7")                                           \
  X(kGuestRsp, 0x681C, "guest RSP")                                           \
  X(kGuestRip, 0x681E, "guest RIP")                                           \
  X(kGuestRflags, 0x6820, "guest RFLAGS")                                     \
  X(kGuestPendingDebug, 0x6822, "guest pending debug exceptions")             \
  X(kGuestSysenterEsp, 0x6824, "guest IA32_SYSENTER_ESP")                     \
  X(kGuestSysenterEip, 0x6826, "guest IA32_SYSENTER_EIP")                     \
  /* natural width, host state */                                             \
  X(kHostCr0, 0x6C00, "host CR0")                                             \
  X(kHostCr3, 0x6C02, "host CR3")                                             \
  X(kHostCr4, 0x6C04, "host CR4")                                             \
  X(kHostFsBase, 0x6C06, "host FS base")                                      \
  X(kHostGsBase, 0x6C08, "host GS base")                                      \
  X(kHostTrBase, 0x6C0A, "host TR base")                                      \
  X(kHostGdtrBase, 0x6C0C, "host GDTR base")                                  \
  X(kHostIdtrBase, 0x6C0E, "host IDTR base")                                  \
  X(kHostSysenterEsp, 0x6C10, "host IA32_SYSENTER_ESP")                       \
  X(kHostSysenterEip, 0x6C12, "host IA32_SYSENTER_EIP")                       \
  X(kHostRsp, 0x6C14, "host RSP")                                             \
  X(kHostRip, 0x6C16, "host RIP")
// clang-format on

enum class VmcsField : std::uint32_t {
#define WS_VMCS_FIELD_ENUM(name, encoding, text) name = (encoding),
  WS_VMCS_FIELDS(WS_VMCS_FIELD_ENUM)
#undef WS_VMCS_FIELD_ENUM
};

// "Structure of VMCS Component Encoding": bits 14:13 and 11:10.
enum class VmcsWidth : std::uint8_t { k16, k64, k32, kNatural };
enum class VmcsKind : std::uint8_t {
  kControl,
  kExitInformation,  // read-only
  kGuestState,
  kHostState,
};

constexpr VmcsWidth WidthOf(VmcsField field) {
  return static_cast<VmcsWidth>(static_cast<std::uint32_t>(field) >> 13 & 3);
}
constexpr VmcsKind KindOf(VmcsField field) {
  return static_cast<VmcsKind>(static_cast<std::uint32_t>(field) >> 10 & 3);
}
// The upper half of a 64-bit field, as 32-bit software reaches it.
constexpr bool IsHighHalf(VmcsField field) {
  return (static_cast<std::uint32_t>(field) & 1) != 0;
}

// All of them, in the order of the list above.
struct VmcsFieldInfo {
  VmcsField field;
  const char* name;
};
struct VmcsFieldList {
  const VmcsFieldInfo* begin_;
  const VmcsFieldInfo* end_;
  const VmcsFieldInfo* begin() const { return begin_; }
  const VmcsFieldInfo* end() const { return end_; }
  std::size_t size() const { return static_cast<std::size_t>(end_ - begin_); }
};
VmcsFieldList AllVmcsFields();

// "guest RIP"; null for a field that is not in the list.
const char* VmcsFieldName(VmcsField field);

// The segment registers, by the number that their fields' encodings hold.
enum class VmcsSegment : std::uint8_t {
  kEs,
  kCs,
  kSs,
  kDs,
  kFs,
  kGs,
  kLdtr,
  kTr,
};
constexpr VmcsField SegmentField(VmcsField of_es, VmcsSegment segment) {
  return static_cast<VmcsField>(static_cast<std::uint32_t>(of_es) +
                                2 * static_cast<std::uint32_t>(segment));
}

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMCS_FIELD_H_
