// What the knobs ask of the controls, on top of BaseWishes.
//
// Freestanding: a pure function.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_WISHES_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_WISHES_H_

#include "backends/native/native_knob.h"
#include "backends/vmx_intel/native/vmx_controls.h"

namespace worldswitch {

// knobs: of VmxNativeKnobs.
VmxControlWishes WishesOf(const NativeKnobValues& knobs);

}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_WISHES_H_
