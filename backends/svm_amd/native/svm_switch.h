// The switch itself, in svm_switch.S.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SWITCH_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SWITCH_H_

#include <cstddef>
#include <cstdint>

#include "backends/svm_amd/native/svm_switch_layout.h"
#include "core/registers.h"

namespace worldswitch::svm {

// No interrupt and no NMI from CLGI to STGI (APM 2, 15.17).
//
// CLGI, and then whether *word is not 0.
[[gnu::always_inline]] inline bool ClgiAndTest(const std::uint32_t* word) {
  bool is_set = false;
  asm volatile(
      "clgi\n\t"
      "cmpl $0, %1"
      : "=@ccne"(is_set)
      : "m"(*word)
      : "memory");
  return is_set;
}
inline void Stgi() { asm volatile("stgi" : : : "memory"); }

// One VMRUN. registers: those of an SvmFrame, whose VMCB it takes. They are
// loaded from and stored to *registers, but for RAX, RSP, RIP and RFLAGS, which
// the VMCB holds. Behind CLGI, and with RFLAGS.IF clear; the host's interrupts
// end the guest all the same, are taken before it is over, and RFLAGS.IF and
// the global flag are then as in a host that has interrupts off.
//
// No function call to the compiler: it keeps nothing but *registers' address in
// registers across it, so in a loop none is saved and restored each time. No
// red zone, and no frame pointer.
[[gnu::always_inline]] inline void Switch(GeneralRegisters* registers) {
  asm volatile("call ws_svm_switch"
               :
               : "D"(registers)
               : "rax", "rbx", "rcx", "rdx", "rsi", "rbp", "r8", "r9", "r10",
                 "r11", "r12", "r13", "r14", "r15", "memory", "cc");
}
// The same with VMSAVE and VMLOAD of both sides' state around it.
inline void SwitchAll(GeneralRegisters* registers,
                      std::uint64_t host_state_pa) {
  asm volatile("call ws_svm_switch_all"
               : "+d"(host_state_pa)
               : "D"(registers)
               : "rax", "rbx", "rcx", "rsi", "rbp", "r8", "r9", "r10", "r11",
                 "r12", "r13", "r14", "r15", "memory", "cc");
}

#define WS_SVM_REGISTER_AT(name, offset) \
  static_assert(offsetof(GeneralRegisters, name) == (offset))
WS_SVM_REGISTER_AT(rbx, WS_SVM_RBX);
WS_SVM_REGISTER_AT(rcx, WS_SVM_RCX);
WS_SVM_REGISTER_AT(rdx, WS_SVM_RDX);
WS_SVM_REGISTER_AT(rsi, WS_SVM_RSI);
WS_SVM_REGISTER_AT(rdi, WS_SVM_RDI);
WS_SVM_REGISTER_AT(rbp, WS_SVM_RBP);
WS_SVM_REGISTER_AT(r8, WS_SVM_R8);
WS_SVM_REGISTER_AT(r9, WS_SVM_R9);
WS_SVM_REGISTER_AT(r10, WS_SVM_R10);
WS_SVM_REGISTER_AT(r11, WS_SVM_R11);
WS_SVM_REGISTER_AT(r12, WS_SVM_R12);
WS_SVM_REGISTER_AT(r13, WS_SVM_R13);
WS_SVM_REGISTER_AT(r14, WS_SVM_R14);
WS_SVM_REGISTER_AT(r15, WS_SVM_R15);
#undef WS_SVM_REGISTER_AT

}  // namespace worldswitch::svm

#endif  // WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SWITCH_H_
