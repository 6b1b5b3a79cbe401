// The end of a boot: the log's last line, then out of the emulator.
// Freestanding.

#ifndef WORLDSWITCH_NATIVE_MACHINE_END_H_
#define WORLDSWITCH_NATIVE_MACHINE_END_H_

#include <cstdint>

namespace worldswitch::native {

// Whether "Shutdown" is written to port 0x8900 at the end, which stops Bochs.
// Off at first: on other machines somebody else may own that port.
void SetShutdownPort(bool there);

// Whether this is QEMU: isa-debug-exit answers.
bool IsQemu();
// Whether this is Bochs: booted by the project's ROM, and no QEMU.
bool IsBochs();

// Prints @done and leaves: through isa-debug-exit at port 0xf4 where it answers
// (QEMU's exit status is 2 * code + 1), through the shutdown port (Bochs ends
// with status 1, whatever the code); else the CPU halts for good.
[[noreturn]] void EndMachine(std::uint32_t code);

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_MACHINE_END_H_
