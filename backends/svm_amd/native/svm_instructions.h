// The processor's instructions that SVM is made of (APM 2, chapter 15), by
// their names. Ring 0 only; freestanding.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_INSTRUCTIONS_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_INSTRUCTIONS_H_

#include <cstdint>

#include "backends/native/processor.h"

namespace worldswitch::svm {

inline constexpr std::uint32_t kMsrVmHsavePa = 0xC0010117;

using ring0::Cpuid;
using ring0::CpuidLeaf;
using ring0::kMsrEfer;
using ring0::ReadCr0;
using ring0::ReadMsr;
using ring0::WriteMsr;

inline std::uint64_t ReadTsc() {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
  return std::uint64_t{high} << 32 | low;
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
