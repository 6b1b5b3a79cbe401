// Which controls a VM is run with: what it cannot do without, what it would
// like, what the processor allows; and what was refused.
//
//   VmxControlWishes wishes = BaseWishes();
//   wishes.optional[VmxControlWord::kSecondary] |= 1u << vmx::kEnableVpid;
//   VmxControlPlan plan = NegotiateControls(capabilities, wishes);
//   if (!plan.possible) ...  // plan.missing_word, plan.missing_bit
//
// Freestanding: pure functions.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_CONTROLS_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_CONTROLS_H_

#include <cstddef>
#include <cstdint>

#include "backends/vmx_intel/native/vmcs.h"
#include "backends/vmx_intel/vmx_capability.h"

namespace worldswitch {

// The words of controls that are written to a VMCS.
enum class VmxControlWord : std::uint8_t {
  kPin,
  kPrimary,
  kSecondary,
  kExit,
  kEntry,
  kCount
};
inline constexpr std::size_t kVmxControlWords =
    static_cast<std::size_t>(VmxControlWord::kCount);

VmxControlGroup GroupOf(VmxControlWord word);
VmcsField FieldOf(VmxControlWord word);
// "pin", "primary", "secondary", "exit", "entry".
const char* VmxControlWordName(VmxControlWord word);

// Bits by the manual's names (SDM 3C, chapter "Virtual Machine Control
// Structures"); their texts are in backends/vmx_intel/vmx_capability.cc.
namespace vmx {

inline constexpr unsigned kPinExternalInterrupt = 0;
inline constexpr unsigned kPinNmi = 3;
inline constexpr unsigned kPinVirtualNmis = 5;
inline constexpr unsigned kPinPreemptionTimer = 6;

inline constexpr unsigned kInterruptWindow = 2;
inline constexpr unsigned kHltExiting = 7;
inline constexpr unsigned kInvlpgExiting = 9;
inline constexpr unsigned kMwaitExiting = 10;
inline constexpr unsigned kRdtscExiting = 12;
inline constexpr unsigned kCr3LoadExiting = 15;
inline constexpr unsigned kCr3StoreExiting = 16;
inline constexpr unsigned kCr8LoadExiting = 19;
inline constexpr unsigned kCr8StoreExiting = 20;
inline constexpr unsigned kNmiWindow = 22;
inline constexpr unsigned kMovDrExiting = 23;
inline constexpr unsigned kUnconditionalIo = 24;
inline constexpr unsigned kUseIoBitmaps = 25;
inline constexpr unsigned kUseMsrBitmaps = 28;
inline constexpr unsigned kMonitorExiting = 29;
inline constexpr unsigned kPauseExiting = 30;
inline constexpr unsigned kSecondaryControls = 31;

inline constexpr unsigned kEnableEpt = 1;
inline constexpr unsigned kEnableRdtscp = 3;
inline constexpr unsigned kEnableVpid = 5;
inline constexpr unsigned kWbinvdExiting = 6;
inline constexpr unsigned kUnrestrictedGuest = 7;
inline constexpr unsigned kPauseLoopExiting = 10;
inline constexpr unsigned kEnableInvpcid = 12;

inline constexpr unsigned kExitSaveDebug = 2;
inline constexpr unsigned kExitHost64 = 9;
inline constexpr unsigned kExitAcknowledge = 15;
inline constexpr unsigned kExitSavePat = 18;
inline constexpr unsigned kExitLoadPat = 19;
inline constexpr unsigned kExitSaveEfer = 20;
inline constexpr unsigned kExitLoadEfer = 21;

inline constexpr unsigned kEntryLoadDebug = 2;
inline constexpr unsigned kEntryIa32eGuest = 9;
inline constexpr unsigned kEntryLoadPat = 14;
inline constexpr unsigned kEntryLoadEfer = 15;

}  // namespace vmx

constexpr std::uint32_t ControlBit(unsigned bit) {
  return std::uint32_t{1} << bit;
}

// One value for each word.
template <typename T>
struct VmxPerWord {
  T values[kVmxControlWords] = {};
  constexpr T& operator[](VmxControlWord word) {
    return values[static_cast<std::size_t>(word)];
  }
  constexpr const T& operator[](VmxControlWord word) const {
    return values[static_cast<std::size_t>(word)];
  }
};

struct VmxControlWishes {
  VmxPerWord<std::uint32_t> required;
  VmxPerWord<std::uint32_t> optional;
};

// Without which no VM is made: exits for all that is the host's, EPT, an
// unrestricted guest, a 64-bit host; and what every VM has if it can.
VmxControlWishes BaseWishes();

struct VmxControlPlan {
  bool possible = false;
  // !possible: the first required control that cannot be 1.
  VmxControlWord missing_word = VmxControlWord::kPin;
  unsigned missing_bit = 0;
  VmxPerWord<std::uint32_t> value;    // as they go into the VMCS
  VmxPerWord<std::uint32_t> refused;  // optional, and cannot be 1
  VmxPerWord<std::uint32_t> forced;   // not wished for, and cannot be 0
};
VmxControlPlan NegotiateControls(const VmxCapabilities& capabilities,
                                 const VmxControlWishes& wishes);

// The manual's name of a control; null where it has none.
const char* VmxControlName(VmxControlWord word, unsigned bit);

// The control words of one VMCS as they were written last, so that nobody has
// to read one to change a bit of it.
class VmxControlWords {
 public:
  explicit VmxControlWords(Vmcs& vmcs) : vmcs_(vmcs) {}

  void WriteAll(const VmxControlPlan& plan);
  // Writes the word if the bit is not so already.
  void Set(VmxControlWord word, unsigned bit, bool on);
  bool IsSet(VmxControlWord word, unsigned bit) const {
    return (words_[word] & ControlBit(bit)) != 0;
  }
  std::uint32_t word(VmxControlWord word) const { return words_[word]; }
  // A VM exit changes "IA-32e mode guest" by itself (SDM 3C, "Saving Control
  // Registers, Debug Registers, and MSRs"): this one is written unasked.
  void SetIa32eGuest(bool on);

 private:
  Vmcs& vmcs_;
  VmxPerWord<std::uint32_t> words_;
};

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_CONTROLS_H_
