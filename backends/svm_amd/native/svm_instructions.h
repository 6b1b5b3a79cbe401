// The processor's instructions that SVM is made of (APM 2, chapter 15), by
// their names. Ring 0 only; freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_INSTRUCTIONS_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_INSTRUCTIONS_H_

#include <cstdint>

namespace worldswitch::svm {

inline constexpr std::uint32_t kMsrEfer = 0xC0000080;
inline constexpr std::uint32_t kMsrVmHsavePa = 0xC0010117;

struct CpuidLeaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};
inline CpuidLeaf Cpuid(std::uint32_t leaf) {
  CpuidLeaf out;
  asm volatile("cpuid"
               : "=a"(out.eax), "=b"(out.ebx), "=c"(out.ecx), "=d"(out.edx)
               : "a"(leaf), "c"(0));
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
inline std::uint64_t ReadTsc() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return std::uint64_t{high} << 32 | low;
}
inline std::uint64_t ReadCr0() {
  std::uint64_t value = 0;
  asm volatile("mov %%cr0, %0" : "=r"(value));
  return value;
}

// FS, GS, TR and LDTR with their hidden parts, KernelGsBase, STAR, LSTAR,
// CSTAR, SFMASK and SYSENTER_*, between the processor and a VMCB (15.5.2).
inline void Vmload(std::uint64_t vmcb_pa) {
  asm volatile("vmload %0" : : "a"(vmcb_pa) : "memory");
}
inline void Vmsave(std::uint64_t vmcb_pa) {
  asm volatile("vmsave %0" : : "a"(vmcb_pa) : "memory");
}

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_INSTRUCTIONS_H_
