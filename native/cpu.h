// Instructions of the CPU that the image's own code needs, by their names.
// Freestanding.

#ifndef WORLDSWITCH_NATIVE_CPU_H_
#define WORLDSWITCH_NATIVE_CPU_H_

#include <cstdint>

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

struct CpuidLeaf {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
};
inline CpuidLeaf Cpuid(std::uint32_t leaf, std::uint32_t subleaf = 0) {
  CpuidLeaf out;
  asm volatile("cpuid"
               : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
               : "a"(leaf), "c"(subleaf));
  return out;
}

inline std::uint64_t ReadMsr(std::uint32_t msr) {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
  return (std::uint64_t{high} << 32) | low;
}
inline void WriteMsr(std::uint32_t msr, std::uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(msr), "a"(static_cast<std::uint32_t>(value)),
                 "d"(static_cast<std::uint32_t>(value >> 32))
               : "memory");
}

inline std::uint64_t ReadCr0() {
  std::uint64_t value = 0;
  asm volatile("mov %%cr0, %0" : "=r"(value));
  return value;
}
inline std::uint64_t ReadCr2() {
  std::uint64_t value = 0;
  asm volatile("mov %%cr2, %0" : "=r"(value));
  return value;
}
inline std::uint64_t ReadCr3() {
  std::uint64_t value = 0;
  asm volatile("mov %%cr3, %0" : "=r"(value));
  return value;
}
inline std::uint64_t ReadCr4() {
  std::uint64_t value = 0;
  asm volatile("mov %%cr4, %0" : "=r"(value));
  return value;
}

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

// What LGDT, LIDT, SGDT and SIDT take.
struct [[gnu::packed]] TablePointer {
  std::uint16_t limit = 0;
  std::uint64_t base = 0;
};
inline TablePointer StoreGdt() {
  TablePointer out;
  asm volatile("sgdt %0" : "=m"(out));
  return out;
}
inline TablePointer StoreIdt() {
  TablePointer out;
  asm volatile("sidt %0" : "=m"(out));
  return out;
}
inline void LoadIdt(const TablePointer& pointer) {
  asm volatile("lidt %0" : : "m"(pointer));
}

inline void EnableInterrupts() { asm volatile("sti" : : : "memory"); }
inline void DisableInterrupts() { asm volatile("cli" : : : "memory"); }
// STI holds interrupts off for one more instruction, so none is lost between.
inline void WaitForInterrupt() {
  asm volatile("sti\n\thlt\n\tcli" : : : "memory");
}

}  // namespace worldswitch::native

#endif  // WORLDSWITCH_NATIVE_CPU_H_
