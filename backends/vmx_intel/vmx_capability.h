// What a processor with VMX can do, as its capability MSRs tell (SDM vol. 3D,
// appendix A): for each group of controls which settings VM entry allows, and
// the fields of the other registers.
//
//   VmxCapabilities vmx;
//   vmx.Set(VmxMsr::kBasic, rdmsr(0x480)); ...
//   VmxControls controls = vmx.Controls(VmxControlGroup::kSecondary);
//   if (controls.known && controls.MayBe1(7)) ...  // unrestricted guest
//
// Freestanding: constant data and pure functions, no allocation.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_CAPABILITY_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_CAPABILITY_H_

#include <array>
#include <cstdint>

#include "core/bit_field.h"

namespace worldswitch {

// MSR indices.
enum class VmxMsr : std::uint32_t {
  kBasic = 0x480,
  kPinBased = 0x481,
  kProcBased = 0x482,
  kExit = 0x483,
  kEntry = 0x484,
  kMisc = 0x485,
  kCr0Fixed0 = 0x486,
  kCr0Fixed1 = 0x487,
  kCr4Fixed0 = 0x488,
  kCr4Fixed1 = 0x489,
  kVmcsEnum = 0x48A,
  kProcBased2 = 0x48B,
  kEptVpidCap = 0x48C,
  kTruePinBased = 0x48D,
  kTrueProcBased = 0x48E,
  kTrueExit = 0x48F,
  kTrueEntry = 0x490,
  kVmfunc = 0x491,
  kProcBased3 = 0x492,
  kExit2 = 0x493,
};
inline constexpr std::uint32_t kFirstVmxMsr = 0x480;
inline constexpr std::uint32_t kVmxMsrCount = 20;

// IA32_FEATURE_CONTROL: whether firmware left VMX usable.
struct VmxFeatureControl {
  static constexpr std::uint32_t kMsr = 0x3A;
  static constexpr BitField kLock = FlagField("lock", 0);
  static constexpr BitField kInsideSmx = FlagField("VMX inside SMX", 1);
  static constexpr BitField kOutsideSmx = FlagField("VMX outside SMX", 2);
  static constexpr std::array kAll = {kLock,
                                      kInsideSmx,
                                      kOutsideSmx,
                                      HexField("SENTER local functions", 8, 7),
                                      FlagField("SENTER global", 15),
                                      FlagField("SGX launch control", 17),
                                      FlagField("SGX global", 18),
                                      FlagField("LMCE", 20)};
};

// "IA32_VMX_BASIC".
const char* VmxMsrName(VmxMsr msr);

// The fields of BASIC, MISC, VMCS_ENUM, EPT_VPID_CAP and VMFUNC; empty for the
// rest, which are masks of bits.
BitFields VmxMsrFields(VmxMsr msr);

enum class VmxControlGroup : std::uint8_t {
  kPinBased,
  kPrimary,
  kSecondary,
  kTertiary,
  kExit,
  kSecondaryExit,
  kEntry,
  kCount
};
// "primary processor-based VM-execution controls".
const char* VmxControlGroupName(VmxControlGroup group);
// The controls of a group, each a flag, lowest bit first.
BitFields VmxControlFields(VmxControlGroup group);

enum class VmxSetting : std::uint8_t { kAlways0, kEither, kAlways1 };

// The settings that VM entry allows the controls of one group.
struct VmxControls {
  bool known = false;
  VmxMsr source = {};           // the MSR that told
  std::uint64_t must_be_1 = 0;  // allowed 0-settings: a bit set may not be 0
  std::uint64_t may_be_1 = 0;   // allowed 1-settings

  constexpr bool MayBe1(unsigned bit) const {
    return ((may_be_1 >> bit) & 1) != 0;
  }
  constexpr VmxSetting Setting(unsigned bit) const {
    if (!MayBe1(bit)) return VmxSetting::kAlways0;
    return ((must_be_1 >> bit) & 1) != 0 ? VmxSetting::kAlways1
                                         : VmxSetting::kEither;
  }
  // `wanted` with what has to be 1 added and what cannot be 1 taken away.
  constexpr std::uint64_t Adjust(std::uint64_t wanted) const {
    return (wanted | must_be_1) & may_be_1;
  }
};

// The capability MSRs of one processor, as far as they were read.
class VmxCapabilities {
 public:
  void Set(VmxMsr msr, std::uint64_t value) {
    values_[Index(msr)] = value;
    known_ |= 1u << Index(msr);
  }
  bool Known(VmxMsr msr) const { return ((known_ >> Index(msr)) & 1) != 0; }
  std::uint64_t Value(VmxMsr msr) const { return values_[Index(msr)]; }

  // Whether the processor has that MSR, going by those read before: an MSR that
  // is not there raises #GP. Ask in ascending order.
  bool Exists(VmxMsr msr) const;
  // From the TRUE MSR of the group where the processor has one and it was read.
  VmxControls Controls(VmxControlGroup group) const;

 private:
  static constexpr std::uint32_t Index(VmxMsr msr) {
    return static_cast<std::uint32_t>(msr) - kFirstVmxMsr;
  }
  bool AllowsPrimary(unsigned bit) const;

  std::uint64_t values_[kVmxMsrCount] = {};
  std::uint32_t known_ = 0;
};

// Named bits that code asks for.
inline constexpr unsigned kPrimaryActivateTertiary = 17;
inline constexpr unsigned kPrimaryActivateSecondary = 31;
inline constexpr unsigned kSecondaryEnableEpt = 1;
inline constexpr unsigned kSecondaryEnableVpid = 5;
inline constexpr unsigned kSecondaryEnableVmFunctions = 13;
inline constexpr unsigned kExitActivateSecondary = 31;
inline constexpr unsigned kBasicTrueControls = 55;

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_VMX_CAPABILITY_H_
