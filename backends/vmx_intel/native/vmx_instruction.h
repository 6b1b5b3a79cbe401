// The VMX instructions (SDM 3C, chapter "VMX Instruction Reference"), and the
// few others of ring 0 that VMX takes, each as a function of its name.
//
// Freestanding.

#ifndef WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_INSTRUCTION_H_
#define WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_INSTRUCTION_H_

#include <cstdint>

#include "backends/native/processor.h"
#include "backends/vmx_intel/native/vmcs_field.h"

namespace worldswitch {

// How a VMX instruction ended ("Conventions"): CF says VMfailInvalid, ZF says
// VMfailValid.
enum class VmxStatus : std::uint8_t {
  kSucceeded,
  kFailInvalid,  // there is no current VMCS
  kFailValid,    // why: VmcsField::kInstructionError
};

namespace vmx {

constexpr VmxStatus StatusOf(bool carry, bool zero) {
  if (carry) return VmxStatus::kFailInvalid;
  return zero ? VmxStatus::kFailValid : VmxStatus::kSucceeded;
}

inline VmxStatus Vmread(VmcsField field, std::uint64_t* value) {
  bool carry = false;
  bool zero = false;
  std::uint64_t read = 0;
  asm volatile("vmread %3, %2"
               : "=@ccc"(carry), "=@ccz"(zero), "=r"(read)
               : "r"(static_cast<std::uint64_t>(field))
               : "memory");
  *value = read;
  return StatusOf(carry, zero);
}

inline VmxStatus Vmwrite(VmcsField field, std::uint64_t value) {
  bool carry = false;
  bool zero = false;
  asm volatile("vmwrite %3, %2"
               : "=@ccc"(carry), "=@ccz"(zero)
               : "r"(static_cast<std::uint64_t>(field)), "r"(value)
               : "memory");
  return StatusOf(carry, zero);
}

// physical: of a page.
inline VmxStatus Vmxon(std::uint64_t physical) {
  bool carry = false;
  bool zero = false;
  asm volatile("vmxon %2"
               : "=@ccc"(carry), "=@ccz"(zero)
               : "m"(physical)
               : "memory");
  return StatusOf(carry, zero);
}
inline VmxStatus Vmxoff() {
  bool carry = false;
  bool zero = false;
  asm volatile("vmxoff" : "=@ccc"(carry), "=@ccz"(zero) : : "memory");
  return StatusOf(carry, zero);
}
inline VmxStatus Vmclear(std::uint64_t physical) {
  bool carry = false;
  bool zero = false;
  asm volatile("vmclear %2"
               : "=@ccc"(carry), "=@ccz"(zero)
               : "m"(physical)
               : "memory");
  return StatusOf(carry, zero);
}
inline VmxStatus Vmptrld(std::uint64_t physical) {
  bool carry = false;
  bool zero = false;
  asm volatile("vmptrld %2"
               : "=@ccc"(carry), "=@ccz"(zero)
               : "m"(physical)
               : "memory");
  return StatusOf(carry, zero);
}

struct InvalidateDescriptor {
  std::uint64_t first;   // EPTP, or VPID
  std::uint64_t second;  // 0, or a linear address
};
inline VmxStatus Invept(std::uint64_t type,
                        const InvalidateDescriptor& descriptor) {
  bool carry = false;
  bool zero = false;
  asm volatile("invept %2, %3"
               : "=@ccc"(carry), "=@ccz"(zero)
               : "m"(descriptor), "r"(type)
               : "memory");
  return StatusOf(carry, zero);
}
inline VmxStatus Invvpid(std::uint64_t type,
                         const InvalidateDescriptor& descriptor) {
  bool carry = false;
  bool zero = false;
  asm volatile("invvpid %2, %3"
               : "=@ccc"(carry), "=@ccz"(zero)
               : "m"(descriptor), "r"(type)
               : "memory");
  return StatusOf(carry, zero);
}

// Types of both ("INVEPT", "INVVPID").
inline constexpr std::uint64_t kIndividualAddress = 0;  // INVVPID
inline constexpr std::uint64_t kSingleContext = 1;
inline constexpr std::uint64_t kAllContexts = 2;

}  // namespace vmx

namespace ring0 {

// NOLINTBEGIN(bugprone-macro-parentheses): asm takes a literal without them
#define WS_SELECTOR(name, instruction)          \
  inline std::uint16_t Read##name() {           \
    std::uint16_t selector = 0;                 \
    asm volatile(instruction : "=r"(selector)); \
    return selector;                            \
  }
WS_SELECTOR(Es, "mov %%es, %0")
WS_SELECTOR(Cs, "mov %%cs, %0")
WS_SELECTOR(Ss, "mov %%ss, %0")
WS_SELECTOR(Ds, "mov %%ds, %0")
WS_SELECTOR(Fs, "mov %%fs, %0")
WS_SELECTOR(Gs, "mov %%gs, %0")
WS_SELECTOR(TaskRegister, "str %0")
WS_SELECTOR(Ldtr, "sldt %0")
#undef WS_SELECTOR
// NOLINTEND(bugprone-macro-parentheses)
inline void LoadLdtr(std::uint16_t selector) {
  asm volatile("lldt %0" : : "r"(selector));
}

}  // namespace ring0
}  // namespace worldswitch

#endif  // WORLDSWITCH_BACKENDS_VMX_INTEL_NATIVE_VMX_INSTRUCTION_H_
