// The ring-0 backends' knobs as the host's command lists and checks them: by
// the same tables that the image is built with.

#ifndef WORLDSWITCH_LAB_NATIVE_KNOBS_H_
#define WORLDSWITCH_LAB_NATIVE_KNOBS_H_

#include "backends/native/native_knob.h"
#include "core/host/knob.h"
#include "lab/emulator.h"

namespace worldswitch {

// Every knob of a table, VM-wide, settable.
KnobSet KnobSetOf(const NativeKnobTable& table);

// Of kSvmNative or kVmxNative.
KnobSet NativeKnobs(LabEngine engine);

}  // namespace worldswitch

#endif  // WORLDSWITCH_LAB_NATIVE_KNOBS_H_
