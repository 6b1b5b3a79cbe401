// The switch itself, in svm_switch.S.

#ifndef WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SWITCH_H_
#define WORLDSWITCH_BACKENDS_SVM_AMD_NATIVE_SVM_SWITCH_H_

#include <cstddef>
#include <cstdint>

#include "backends/svm_amd/native/svm_switch_layout.h"
#include "core/registers.h"

namespace worldswitch::svm {

extern "C" {
// One VMRUN. The guest's registers are loaded from and stored to *registers, but
// for RAX, RSP, RIP and RFLAGS, which the VMCB holds. With the global interrupt
// flag clear it first looks at *kicked; not 0: false, and no entry was made.
//
// The host's interrupts end the guest whatever RFLAGS.IF is at the call, and
// are taken before it returns.
bool ws_svm_switch(GeneralRegisters* registers, std::uint64_t vmcb_pa,
                   const std::uint32_t* kicked);
// The same with VMLOAD of the guest before and of the host behind.
bool ws_svm_switch_all(GeneralRegisters* registers, std::uint64_t vmcb_pa,
                       const std::uint32_t* kicked,
                       std::uint64_t host_state_pa);
}

#define WS_SVM_REGISTER_AT(name, offset) \
  static_assert(offsetof(GeneralRegisters, name) == offset)
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
