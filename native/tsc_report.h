// What a tick of the TSC is worth, into the log: "@info tsc_invariant", and the
// frequency with its source. Freestanding.

#ifndef WORLDSWITCH_NATIVE_TSC_REPORT_H_
#define WORLDSWITCH_NATIVE_TSC_REPORT_H_

namespace worldswitch::native {

// With interrupts off. Where ticks are time, not in an emulator, it looks for
// the frequency too (tsc_frequency.h), which takes channel 2 of the PIT for
// 150 ms; without a PIT, some half a second at most.
void ReportTsc(bool ticks_are_time);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_TSC_REPORT_H_
