// The IDT of the image: exceptions are reported and end it, interrupts go to
// who asked for their vector. One CPU; freestanding.

#ifndef WORLDSWITCH_NATIVE_INTERRUPTS_H_
#define WORLDSWITCH_NATIVE_INTERRUPTS_H_

#include <cstddef>
#include <cstdint>

namespace worldswitch::native {

inline constexpr std::size_t kVectors = 256;
inline constexpr std::uint8_t kFirstInterruptVector = 32;

// As boot.S pushes it: the general registers, then what the CPU pushed.
struct InterruptFrame {
  std::uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
  std::uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
  std::uint64_t vector, error_code;
  std::uint64_t rip, cs, rflags, rsp, ss;
};

using InterruptHandler = void (*)(void* context);

// Loads the IDT; masks the two 8259s, whose vectors nobody handles.
void SetUpInterrupts();
// vector: kFirstInterruptVector and above. Called with interrupts off; says
// itself that the interrupt is over (EOI). Null: none.
void SetInterruptHandler(std::uint8_t vector, InterruptHandler handler,
                         void* context);
// As if the CPU had delivered it. Interrupts are off.
void DispatchInterrupt(std::uint8_t vector);
// Interrupts that came for vectors without a handler; they are dropped.
std::uint64_t StrayInterrupts();
// NMIs: counted, and over with their IRET.
std::uint64_t NmisTaken();
// #DBs that nothing of the image's asked for: a guest's own, delivered behind
// its exit. All breakpoints are turned off, and the image goes on.
std::uint64_t DebugExceptionsTaken();

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_INTERRUPTS_H_
