// The knobs that only native VMX has, in one table.
//
// Freestanding: the image applies them, the command on the host lists them.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_NATIVE_KNOBS_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_NATIVE_KNOBS_H_

#include <cstddef>
#include <cstdint>

#include "backends/native/native_knob.h"

namespace worldswitch {

// Indices into the table.
enum class VmxKnob : std::uint8_t {
  kVpid,
  kEptPageSize,
  kEptAccessedDirty,
  kAcknowledgeInterrupt,
  kEferSwitching,
  kPatSwitching,
  kMsrBitmap,
  kIoBitmap,
  kExceptionBitmap,
  kPreemptionTimer,
  kPleGap,
  kPleWindow,
  kCount
};

NativeKnobTable VmxNativeKnobs();

// Off and on, where a knob has no other choices.
inline bool IsOn(const NativeKnobValues& values, VmxKnob knob) {
  return values.value(static_cast<std::size_t>(knob)) != 0;
}
inline std::uint64_t ValueOf(const NativeKnobValues& values, VmxKnob knob) {
  return values.value(static_cast<std::size_t>(knob));
}

// Choices of kMsrBitmap.
inline constexpr std::uint64_t kMsrBitmapNone = 0;
inline constexpr std::uint64_t kMsrBitmapAll = 1;
inline constexpr std::uint64_t kMsrBitmapSwitched = 2;

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_NATIVE_KNOBS_H_
