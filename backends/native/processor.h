// Instructions of the processor that both vendors' halves and the boot image
// need, by their names (SDM 2, APM 3). Those of VMX and of SVM alone are beside
// their users. Ring 0 only, but for CPUID; freestanding.

#ifndef WORLDSWITCH_BACKENDS_NATIVE_PROCESSOR_H_
#define WORLDSWITCH_BACKENDS_NATIVE_PROCESSOR_H_

#include <cstdint>

namespace worldswitch::ring0 {

inline constexpr std::uint32_t kMsrEfer = 0xC0000080;  // IA32_EFER

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
  return std::uint64_t{high} << 32 | low;
}
inline void WriteMsr(std::uint32_t msr, std::uint64_t value) {
  asm volatile("wrmsr"
               :
               : "c"(msr), "a"(static_cast<std::uint32_t>(value)),
                 "d"(static_cast<std::uint32_t>(value >> 32))
               : "memory");
}

#define WS_REGISTER(name, operand)                                 \
  inline std::uint64_t Read##name() {                              \
    std::uint64_t value = 0;                                       \
    asm volatile("mov %%" #operand ", %0" : "=r"(value));          \
    return value;                                                  \
  }                                                                \
  inline void Write##name(std::uint64_t value) {                   \
    asm volatile("mov %0, %%" #operand : : "r"(value) : "memory"); \
  }
WS_REGISTER(Cr0, cr0)
WS_REGISTER(Cr2, cr2)
WS_REGISTER(Cr3, cr3)
WS_REGISTER(Cr4, cr4)
WS_REGISTER(Dr0, dr0)
WS_REGISTER(Dr1, dr1)
WS_REGISTER(Dr2, dr2)
WS_REGISTER(Dr3, dr3)
WS_REGISTER(Dr6, dr6)
#undef WS_REGISTER

// Exchanges DR0 to DR3 with address[0] to address[3].
inline void ExchangeBreakpoints(std::uint64_t (&address)[4]) {
  const std::uint64_t before[4] = {ReadDr0(), ReadDr1(), ReadDr2(), ReadDr3()};
  WriteDr0(address[0]);
  WriteDr1(address[1]);
  WriteDr2(address[2]);
  WriteDr3(address[3]);
  for (unsigned i = 0; i < 4; ++i) address[i] = before[i];
}

// What LGDT, LIDT, SGDT and SIDT take.
struct [[gnu::packed]] TablePointer {
  std::uint16_t limit = 0;
  std::uint64_t base = 0;
};
inline TablePointer ReadGdtr() {
  TablePointer pointer;
  asm volatile("sgdt %0" : "=m"(pointer));
  return pointer;
}
inline TablePointer ReadIdtr() {
  TablePointer pointer;
  asm volatile("sidt %0" : "=m"(pointer));
  return pointer;
}
inline void LoadGdtr(const TablePointer& pointer) {
  asm volatile("lgdt %0" : : "m"(pointer));
}
inline void LoadIdtr(const TablePointer& pointer) {
  asm volatile("lidt %0" : : "m"(pointer));
}

}  // namespace worldswitch::ring0

#endif  // WORLDSWITCH_BACKENDS_NATIVE_PROCESSOR_H_
