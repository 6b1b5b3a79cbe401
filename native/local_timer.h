// The local APIC's timer, as the host's own: what ends guests that do not end.
// In APIC or x2APIC mode, as the firmware left it. One CPU; freestanding.

#ifndef WORLDSWITCH_NATIVE_LOCAL_TIMER_H_
#define WORLDSWITCH_NATIVE_LOCAL_TIMER_H_

#include <cstdint>

namespace worldswitch::native {

inline constexpr std::uint8_t kTimerVector = 0x30;

// Turns the local APIC on, its timer off. False: this CPU has none.
bool SetUpLocalTimer();
// An interrupt of kTimerVector every `counts` of the timer, undivided, from now
// on. A count is an instruction in the emulators that count them; on hardware
// it is a clock of the bus or the crystal, about 1 to 40 ns.
void StartLocalTimer(std::uint32_t counts);
void StopLocalTimer();
// The end of an interrupt, in its handler.
void EndOfInterrupt();

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_LOCAL_TIMER_H_
