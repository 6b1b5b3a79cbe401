// The knobs of the native SVM backend, in the order of its table.
//
// Freestanding: constant data; the host lists it too.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_NATIVE_KNOBS_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_NATIVE_KNOBS_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/native_knob.h"

namespace worldswitch::svm {

enum class SvmKnob : std::uint8_t {
  kNptPageSize,
  kVmload,
  kCleanBits,
  kTlbFlush,
  kVirtualIrq,
  kNrip,
  kAsid,
  kPauseFilterCount,
  kPauseFilterThreshold,
  kMsrBitmap,
  kIoBitmap,
  kExceptionBitmap,
  kCount
};

// Values of the knobs that have choices, by index.
enum class VmloadPolicy : std::uint8_t { kLazy, kEveryExit };
enum class TlbFlush : std::uint8_t { kAsid, kAll, kAsidAlways, kAllAlways };
enum class VirtualIrq : std::uint8_t { kOff, kOn, kEarly };
enum class MsrBitmap : std::uint8_t { kSwitched, kAll, kNone };
enum class IoBitmap : std::uint8_t { kAll, kNone };

NativeKnobTable SvmNativeKnobs();

inline std::uint64_t Value(const NativeKnobValues& values, SvmKnob knob) {
  return values.value(static_cast<std::size_t>(knob));
}

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_NATIVE_KNOBS_H_
