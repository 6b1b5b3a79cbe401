// Instructions of the CPU that the image's own code needs, by their names.
// Freestanding.

#ifndef WORLDSWITCH_NATIVE_CPU_H_
#define WORLDSWITCH_NATIVE_CPU_H_

#include <cstdint>

#include "backends/native/processor.h"

namespace worldswitch::native {

inline std::uint8_t In8(std::uint16_t port) {
  std::uint8_t value = 0;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline std::uint32_t In32(std::uint16_t port) {
  std::uint32_t value = 0;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}
inline void Out8(std::uint16_t port, std::uint8_t value) {
  asm volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}
inline void Out32(std::uint16_t port, std::uint32_t value) {
  asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

using ring0::Cpuid;
using ring0::CpuidLeaf;
using ring0::LoadIdtr;
using ring0::ReadCr0;
using ring0::ReadCr2;
using ring0::ReadCr3;
using ring0::ReadCr4;
using ring0::ReadGdtr;
using ring0::ReadIdtr;
using ring0::ReadMsr;
using ring0::TablePointer;
using ring0::WriteMsr;

// The debug registers as they are after a reset.
inline void ClearBreakpoints() {
  constexpr std::uint64_t kNone = 0;
  asm volatile(
      "mov %0, %%dr0\n\tmov %0, %%dr1\n\tmov %0, %%dr2\n\tmov %0, %%dr3"
      :
      : "r"(kNone));
}
inline void DisarmBreakpoints() {
  constexpr std::uint64_t kDr7 = 0x400;
  constexpr std::uint64_t kDr6 = 0xffff0ff0;
  asm volatile("mov %0, %%dr7\n\tmov %1, %%dr6" : : "r"(kDr7), "r"(kDr6));
}

inline void EnableInterrupts() { asm volatile("sti" : : : "memory"); }
inline void DisableInterrupts() { asm volatile("cli" : : : "memory"); }
// STI holds interrupts off for one more instruction, so none is lost between.
inline void WaitForInterrupt() {
  asm volatile("sti\n\thlt\n\tcli" : : : "memory");
}

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_CPU_H_
